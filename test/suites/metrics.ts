import { expect } from "vitest";
import { RecordImpressionsDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { type Families, metricValue, parseExposition } from "../support/exposition.ts";
import { type Ledger, type SentImpression, walkDeadLetters } from "../support/ledger.ts";

/** The metrics that a process exposes now. */
export async function scrape(url: string, headers: Record<string, string> = {}): Promise<Families> {
  const response = await fetch(new URL("/metrics", url), { headers });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return parseExposition(await response.text());
}

const PATIENCE = { timeout: 120_000, interval: 200 };
const at = (secondsAgo: number) => new Date(Date.now() - secondsAgo * 1_000).toISOString();

/** The number of impressions that `sendAll` has sent. */
export interface Sent {
  /** Every one that was acknowledged, those sent twice included. */
  readonly accepted: number;
  readonly deadLettered: Readonly<Record<string, number>>;
}

/** Sends good impressions, the same again, and some that can only become dead letters. */
export async function sendAll(ledger: Ledger, url: string): Promise<Sent> {
  const lists: (readonly [userId: string, readonly SentImpression[]])[] = Array.from(
    { length: 12 },
    (_, user) => [
      `user-${user}`,
      Array.from({ length: 25 }, (_, index) => ({ postId: `p${index % 10}`, viewedAt: at(index + 1) })),
    ],
  );
  const poisoned: readonly SentImpression[] = [
    { postId: "good", viewedAt: at(1) },
    { postId: "p", viewedAt: at(4), position: -1 },
    { postId: "p", viewedAt: at(-3_600) },
  ];
  let accepted = 0;
  const send = async (userId: string, impressions: readonly SentImpression[]) => {
    expect(await ledger.send(url, userId, impressions)).toMatchObject({ outcome: "acknowledged" });
    accepted += impressions.length;
  };
  await Promise.all(lists.map(([userId, list]) => send(userId, list)));
  await send("poisoned", poisoned);
  // Ids that no reader may even ask about, so that the ledger cannot look for them.
  const junk = [
    { postId: "null", viewedAt: at(2) },
    { postId: "undefined", viewedAt: at(3) },
  ];
  const { recordImpressions } = await query(url, RecordImpressionsDocument, {
    input: { userId: "poisoned", impressions: junk },
  });
  accepted += recordImpressions.accepted;
  // As a phone does that never heard of the answer.
  await Promise.all(lists.slice(0, 5).map(([userId, list]) => send(userId, list)));
  return { accepted, deadLettered: { INVALID_POST_ID: 2, INVALID_FIELD: 1, VIEWED_IN_FUTURE: 1 } };
}

/**
 * At rest the metrics must tell the same story as the ledger: whatever came into the queue is stored, expired or
 * dead-lettered, and nothing waits.
 *
 * @param api where impressions are accepted and read. @param worker where they are stored; the same process, or another.
 * @param others how many impressions others have put into the queue, the expired ones, and the letters of both.
 */
export async function expectAgreement(
  { api, worker }: { readonly api: string; readonly worker: string },
  ledger: Ledger,
  sent: Sent,
  others: {
    readonly published: number;
    readonly expired: number;
    readonly deadLettered: Sent["deadLettered"];
  },
): Promise<void> {
  await expect
    .poll(async () => {
      const [front, back] = [await scrape(api), await scrape(worker)];
      const settled =
        metricValue(back, "impressions_stored_total") +
        metricValue(back, "impressions_expired_total") +
        metricValue(back, "impressions_dead_lettered_total");
      return {
        pending: metricValue(front, "impressions_queue_messages"),
        inFlight: metricValue(back, "impressions_worker_messages_in_flight"),
        unsettled: metricValue(front, "impressions_accepted_total") + others.published - settled,
      };
    }, PATIENCE)
    .toEqual({ pending: 0, inFlight: 0, unsettled: 0 });

  const [front, back] = [await scrape(api), await scrape(worker)];
  expect(metricValue(front, "impressions_accepted_total")).toBe(sent.accepted);
  expect(metricValue(back, "impressions_expired_total")).toBe(others.expired);
  const letters = { ...sent.deadLettered, ...others.deadLettered };
  for (const [reason, count] of Object.entries(letters))
    expect(metricValue(back, "impressions_dead_lettered_total", { reason }), reason).toBe(count);
  const total = Object.values(letters).reduce((sum, count) => sum + count, 0);
  expect(metricValue(back, "impressions_dead_lettered_total")).toBe(total);
  const stored = sent.accepted + others.published - others.expired - total;
  expect(metricValue(back, "impressions_stored_total")).toBe(stored);
  expect(metricValue(back, "impressions_store_lag_seconds_count")).toBe(stored);
  expect(metricValue(front, "impressions_group_commit_impressions_sum")).toBe(sent.accepted);
  expect(metricValue(front, "impressions_queue_bytes")).toBe(0);
  expect(metricValue(front, "impressions_queue_oldest_message_age_seconds")).toBe(0);

  // The ledger looks with the eyes of a reader.
  const { deadLettered } = await ledger.check(api);
  const { INVALID_POST_ID: _, ...askable } = sent.deadLettered;
  expect(deadLettered).toBe(Object.values(askable).reduce((sum, count) => sum + count, 0));
  const found = await walkDeadLetters(api);
  const byReason = Object.groupBy(found, ({ reason }) => reason);
  expect(metricValue(await scrape(api), "impressions_dead_letters")).toBe(found.length);
  for (const [reason, count] of Object.entries(letters))
    expect(byReason[reason as keyof typeof byReason]?.length, reason).toBe(count);
}
