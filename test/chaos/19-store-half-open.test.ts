import { expect, vi } from "vitest";
import { UnseenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage } from "./support/stage.ts";

/** A heartbeat, its timeout, the longest pause of the breaker and of a message that is given back; TCP takes 15 minutes. */
const RESUMES = { timeout: 90_000, interval: 50 };

scenario("19 Cassandra socket half-open: resumes within a bound", async (chaos) => {
  const { ledger, random } = chaos;
  const stage = await openStage();
  const [apiProxy, workerProxy] = [await stage.cqlProxy(), await stage.cqlProxy()];
  const { url } = await stage.start("api", { SCYLLA_CONTACT_POINTS: apiProxy.address });
  await stage.start("worker", { SCYLLA_CONTACT_POINTS: workerProxy.address });
  const send = (lists: number) =>
    startSenders({ ledger, random, url: () => url, senders: 4, users: 30, posts: 40, lists }).finished;
  const read = () => query(url, UnseenPostsDocument, { userId: "user-1", candidates: ["post-1"] });
  await send(100);
  await stage.drained();
  await read();

  // Both other ends are gone and said nothing: neither reads nor writes may wait for TCP to find out. A quiet hour: much
  // traffic would soon have so many requests without an answer that the driver closes the connection by itself.
  for (const proxy of [apiProxy, workerProxy]) proxy.swallowOpen();
  const silentSinceMs = performance.now();
  await send(2);
  await vi.waitFor(async () => {
    expect((await stage.stream()).state.messages).toBe(0);
    await read();
  }, RESUMES);
  const resumedAfterMs = Math.round(performance.now() - silentSinceMs);
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered: await stage.redelivered(), resumedAfterMs });
});
