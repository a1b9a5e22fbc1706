import { expect, vi } from "vitest";
import { DiscardDeadLettersDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, logged, openStage, PATIENCE, pipelineOf } from "./support/stage.ts";

/** Three or four letters of this fill the MiB that the dead letters have. */
const POISON_BYTES = 200 * 1_024;
const POISON = 8;

scenario("12 dead letters full: poison stays in the queue, the healthy flow goes on", async (chaos) => {
  const { ledger, random } = chaos;
  const stage = await openStage({ environment: { DEAD_LETTER_MAX_BYTES: "1MiB" } });
  const { url } = await stage.start("api");
  const worker = await stage.start("worker");
  const bytes = Uint8Array.from({ length: POISON_BYTES }, () => random.integer(0, 255));
  for (let number = 0; number < POISON; number++)
    await stage.nats.jetstream().publish(stage.names.publishSubject, bytes);
  await logged(worker, "dead letters could not be written");

  await startSenders({ ledger, random, url: () => url, senders: 4, users: 30, posts: 40, lists: 300 })
    .finished;
  // Only poison is left, and every piece of it is in one of the two places.
  const places = async () => ({
    queue: (await stage.stream()).state.messages,
    letters: (await pipelineOf(url)).deadLetters,
  });
  await vi.waitFor(async () => {
    const { queue, letters } = await places();
    expect(queue + letters).toBe(POISON);
  }, PATIENCE);
  expect((await places()).queue).toBeGreaterThan(0);
  expectAllStored(await ledger.check(url));

  let discarded = 0;
  await vi.waitFor(async () => {
    const filter = { reason: "UNREADABLE_MESSAGE" as const };
    const { discardDeadLetters } = await query(url, DiscardDeadLettersDocument, { filter, dryRun: false });
    discarded += discardDeadLetters.done;
    expect(discarded).toBe(POISON);
  }, PATIENCE);
  await stage.drained();
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, discarded, redelivered: await stage.redelivered() });
});
