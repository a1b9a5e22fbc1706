import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLeases, type QueuedMessage } from "../../src/embedded/leases.ts";
import { createReservations } from "../../src/embedded/reservations.ts";
import { QUEUE_SCHEMA } from "../../src/embedded/schema.ts";

const DISK_ERROR = "disk I/O error";

/** A database of so many messages. Its reads fail once so many rows have been read, null for never. */
function openMessages(count: number) {
  const database = new DatabaseSync(":memory:");
  for (const step of QUEUE_SCHEMA.steps) database.exec(step);
  const insert = database.prepare("INSERT INTO messages (bytes, published_at, body) VALUES (10, 0, x'00')");
  for (let message = 0; message < count; message++) insert.run();
  const reads = { rowsLeft: null as number | null };

  function countRow(): void {
    if (reads.rowsLeft === 0) throw new Error(DISK_ERROR);
    if (reads.rowsLeft !== null) reads.rowsLeft--;
  }

  const reader = {
    prepare(sql: string) {
      const statement = database.prepare(sql);
      return {
        *iterate(...parameters: number[]) {
          const rows = statement.iterate(...parameters);
          for (;;) {
            countRow();
            const row = rows.next();
            if (row.done === true) return;
            yield row.value;
          }
        },
      };
    },
  } as unknown as DatabaseSync;
  return { reader, reads };
}

describe("reservations", () => {
  const steps = fc.array(
    fc.record({
      maxMessages: fc.integer({ min: 1, max: 8 }),
      maxBytes: fc.integer({ min: 1, max: 60 }),
      /** Rows that can be read before the disk fails. */
      rowsLeft: fc.option(fc.nat(6)),
      returned: fc.boolean(),
    }),
    { maxLength: 30 },
  );

  test("that a failed read cuts short are released: every message is reserved again, one holder at a time", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), steps, (count, pulls) => {
        const { reader, reads } = openMessages(count);
        const leases = createLeases();
        const reservations = createReservations({ reader, leases, clock: { monotonicMs: () => 0 } });
        const held = new Set<number>();

        function take(reserved: readonly QueuedMessage[], isReturned: boolean): void {
          for (const { sequence } of reserved) {
            expect(held.has(sequence)).toBe(false);
            if (isReturned) leases.release(sequence);
            else held.add(sequence);
          }
        }

        for (const { rowsLeft, returned, ...request } of pulls) {
          reads.rowsLeft = rowsLeft;
          try {
            take(reservations.next(request), returned);
          } catch (error) {
            expect((error as Error).message).toBe(DISK_ERROR);
          }
          expect(leases.heldCount(0)).toBe(held.size);
        }
        reads.rowsLeft = null;
        take(reservations.next({ maxMessages: count, maxBytes: Number.POSITIVE_INFINITY }), false);
        expect(held.size).toBe(count);
      }),
    );
  });
});
