import type { Database } from "./database.ts";
import { textOf } from "./rows.ts";

/** Rows of one erasure that are looked at: a claim or two. */
const CLAIMS_MAX = 10;

/**
 * Which process works at an erasure. No lightweight transaction (docs/adr/0007): a process that wants an unclaimed erasure
 * enters itself and looks again. Of two that do so at once at least one sees the other, because a quorum of replicas takes
 * what each writes and answers what each reads; a process that sees another gives up.
 */
export function createClaims(database: Database) {
  async function holdersOf(id: string): Promise<string[]> {
    const rows = await database.read("readClaims", [id, CLAIMS_MAX], CLAIMS_MAX);
    return rows.map((row) => textOf(row, "holder"));
  }
  const enter = (id: string, holder: string, leaseMs: number) =>
    database.write("insertClaim", [id, holder, Math.ceil(leaseMs / 1_000)]);
  const leave = (id: string, holder: string) => database.write("deleteClaim", [id, holder]);

  return {
    async claim(id: string, holder: string, leaseMs: number): Promise<boolean> {
      const holders = await holdersOf(id);
      const isMine = holders.includes(holder);
      if (holders.length > 0 && !isMine) return false;
      await enter(id, holder, leaseMs);
      if (isMine) return true;
      const isAlone = (await holdersOf(id)).every((other) => other === holder);
      if (!isAlone) await leave(id, holder);
      return isAlone;
    },
    release: leave,
  };
}
