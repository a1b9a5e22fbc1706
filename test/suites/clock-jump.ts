import { join } from "node:path";
import { expect } from "vitest";
import {
  DeadLettersDocument,
  EraseUserDocument,
  RecordImpressionsDocument,
  SeenPostsDocument,
} from "../../src/generated/operations.ts";
import { query, request } from "../kit/graphql-request.ts";
import type { ServiceProcess } from "../kit/service-process.ts";

/** For a service's environment: SIGUSR2 sets its clock 100 days ahead, and back. */
export const JUMPING_CLOCK = { NODE_OPTIONS: `--import ${join(import.meta.dirname, "jump-clock.mjs")}` };

const DAY_MS = 86_400_000;

/** A host's clock runs 100 days ahead for a moment: the service notices, dates nothing by it and loses nothing. */
export async function provesClockJump({ url, pid, log }: ServiceProcess): Promise<void> {
  const record = (userId: string, postId: string) =>
    request(url, RecordImpressionsDocument, {
      input: { userId, impressions: [{ postId, viewedAt: new Date().toISOString() }] },
    });
  const seen = async (userId: string) =>
    (await query(url, SeenPostsDocument, { userId })).seenPosts.nodes.map(({ post }) => post.id);
  const readiness = async () => {
    const response = await fetch(new URL("/readyz", url));
    return { status: response.status, body: (await response.json()) as { clock: { reason?: string } } };
  };
  const metrics = async () => (await fetch(new URL("/metrics", url))).text();

  expect((await record("ann", "before")).errors).toBeUndefined();
  await expect.poll(() => seen("ann"), { timeout: 60_000 }).toEqual(["before"]);

  process.kill(pid, "SIGUSR2");
  await expect.poll(async () => (await readiness()).status, { timeout: 60_000 }).toBe(503);
  expect((await readiness()).body.clock.reason).toMatch(/jumped ahead by (8640000|8639999|8640001) s/);
  expect(await metrics()).toMatch(/impressions_clock_jump_seconds 86(40000|39999)/);
  for (const refused of [
    await record("ann", "during"),
    await request(url, EraseUserDocument, { userId: "bob" }),
  ]) {
    expect(refused.status).toBe(503);
    expect(refused.errors).toMatchObject([
      { message: expect.stringContaining("clock"), extensions: { code: "OVERLOADED" } },
    ]);
  }
  // Reads stay the same: no view expires by the time in 100 days.
  expect(await seen("ann")).toEqual(["before"]);

  process.kill(pid, "SIGUSR2");
  await expect.poll(async () => (await readiness()).status, { timeout: 60_000 }).toBe(200);
  const after = await record("ann", "after");
  expect(Math.abs(Date.parse(String(after.data?.recordImpressions.receivedAt)) - Date.now())).toBeLessThan(
    DAY_MS,
  );
  expect((await record("bob", "after")).errors).toBeUndefined();
  await expect.poll(() => seen("ann"), { timeout: 60_000 }).toEqual(["after", "before"]);
  await expect.poll(() => seen("bob"), { timeout: 60_000 }).toEqual(["after"]);
  expect((await query(url, DeadLettersDocument, { first: 10 })).deadLetters.nodes).toEqual([]);
  expect(await metrics()).toMatch(/impressions_clock_jump_seconds 0\n/);
  expect(await metrics()).toMatch(/impressions_clock_jumps_total 1\n/);
  await expect
    .poll(() => log.join("\n"))
    .toMatch(/the host's clock has jumped.*\n(.*\n)*.*the clock is certain again/);
  // A field of a line must not repeat one of the logger's own: readers of JSON keep either of them.
  expect(log.join("\n")).not.toMatch(/"time":.*"time":/);
}
