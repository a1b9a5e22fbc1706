import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, vi } from "vitest";
import { openJetStreamQueue } from "../../src/jetstream/open.ts";
import { openScyllaStore } from "../../src/scylla/open.ts";
import { pullCount } from "../contract/queue/fixture.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { FREEZES } from "../suites/fatal-posts.ts";
import { type IsolationEngine, messageOf, provesIsolation, startWorkerProcess } from "../suites/isolation.ts";
import { jetStreamOptions } from "../support/jetstream.ts";
import { storeOptions } from "../support/scylla.ts";
import { openSharedInstallation } from "../support/shared-installation.ts";
import { scenario } from "./support/scenario.ts";

const ACK_WAIT_MS = 1_000;

scenario(
  "17 a message that kills its worker: dead-lettered alone, the 499 pulled with it stored",
  async ({ random, report }) => {
    report(await provesIsolation(await newInstallation(), random));
  },
);

scenario(
  "17 a worker that freezes in an isolated attempt: taken for dead, and harmless when it wakes up",
  async () => {
    const { environment, open } = await newInstallation();
    const directory = createTemporaryDirectory();
    onTestFinished(directory.remove);
    const FROZEN_ONCE = join(directory.path, "frozen");
    const { queue, store, close } = await open();
    onTestFinished(close);
    await queue.publish({ id: randomUUID(), body: messageOf({ u: [`${FREEZES}-1`, "p"] }) });
    // Delivered so often that it has become a poison candidate.
    for (let deliveries = 1; deliveries <= 5; deliveries++) await queue.nak(await pullCount(queue, 1), 0);

    const frozen = startWorkerProcess({ ...environment, FROZEN_ONCE });
    await vi.waitUntil(() => existsSync(FROZEN_ONCE), { timeout: 60_000 });
    // Its hold runs out, and another one tries the message, with the record of the first still there.
    const other = startWorkerProcess({ ...environment, FROZEN_ONCE });
    expect(await other.ended).toEqual({ code: 0, signal: null });
    frozen.child.kill("SIGCONT");
    expect(await frozen.ended).toEqual({ code: 0, signal: null });

    const rule = { minViews: 1, minDwellMs: 0, sinceMs: 0 };
    expect([...(await store.seenAmong("u", [`${FREEZES}-1`, "p"], rule))]).toHaveLength(2);
    expect(await queue.stats()).toMatchObject({ pending: 0 });
    expect(await queue.deadLetters.count()).toBe(0);
  },
);

async function newInstallation(): Promise<IsolationEngine> {
  const installation = await openSharedInstallation();
  onTestFinished(installation.dispose);
  const { environment, keyspace } = installation;
  return {
    environment,
    async open() {
      const { queue } = await openJetStreamQueue(
        jetStreamOptions({
          namespace: environment.NATS_NAMESPACE,
          queueMaxBytes: 256 * 1024 * 1024,
          ackWaitMs: ACK_WAIT_MS,
        }),
      );
      const { store } = await openScyllaStore(storeOptions(keyspace));
      return {
        queue,
        store,
        async close() {
          await queue.close();
          await store.close();
        },
      };
    },
  };
}
