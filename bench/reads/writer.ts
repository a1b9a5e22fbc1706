// Sends impressions through the mutation at a steady rate until it is killed, and says each second how many it sent.
//
//   node bench/reads/writer.ts URL IMPRESSIONS_PER_SECOND

import { print } from "graphql";
import { RecordImpressionsDocument } from "../../src/generated/operations.ts";

const IMPRESSIONS_PER_MUTATION = 50;
const TICK_MS = 20;
/** Mutations that may wait for their answer; what is due beyond that is left out, and seen in the printed rate. */
const IN_FLIGHT_MAX = 64;

const [url = "", perSecond = "5000"] = process.argv.slice(2);
const query = print(RecordImpressionsDocument);
let sent = 0;
let inFlight = 0;
let due = 0;
let user = 0;

setInterval(() => {
  due += (Number(perSecond) * TICK_MS) / 1_000 / IMPRESSIONS_PER_MUTATION;
  for (; due >= 1; due--) if (inFlight < IN_FLIGHT_MAX) void send();
}, TICK_MS);
setInterval(() => {
  process.send?.(sent);
  sent = 0;
}, 1_000);

async function send(): Promise<void> {
  inFlight++;
  const viewedAt = new Date().toISOString();
  const impressions = Array.from({ length: IMPRESSIONS_PER_MUTATION }, (_, index) => ({
    postId: `new-${(user * 31 + index) % 5_000}`,
    viewedAt,
    surface: "HOME",
    position: index,
    dwellMs: 900,
  }));
  try {
    const answer = await fetch(new URL("/graphql", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables: { input: { userId: `writer-${user++}`, impressions } } }),
    });
    await answer.text();
    if (answer.ok) sent += IMPRESSIONS_PER_MUTATION;
  } catch {
    // Counted as not sent.
  } finally {
    inFlight--;
  }
}
