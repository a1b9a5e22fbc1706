import { expect, vi } from "vitest";
import { randomList } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, ownNats, PATIENCE } from "./support/stage.ts";

const PUBLISH_TIMEOUT_MS = 2_000;
/** Limits the time of a mutation: waiting for a slot, publishing, and a slow machine. */
const ANSWERED_MS_MAX = 2 * PUBLISH_TIMEOUT_MS + 20_000;

scenario("05 two of three NATS nodes down: refused in time, and no restart needed", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const nats = await ownNats({ nodes: 3 });
  const stage = await openStage({ nats, environment: { PUBLISH_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS) } });
  const { url } = await stage.start("api");
  await stage.start("worker");
  const send = () => ledger.send(url, `user-${random.integer(1, 20)}`, randomList(random, 20));
  const readiness = async () => (await fetch(`${url}/readyz`)).status;

  for (let round = sized({ short: 1, full: 3 }); round > 0; round--) {
    for (let number = 0; number < 20; number++) await send();
    const down = random.shuffle(nats.nodes).slice(0, 2);
    await Promise.all(down.map((node) => node.kill("SIGKILL")));
    await vi.waitFor(async () => expect(await readiness()).toBe(503), PATIENCE);
    for (let number = 0; number < 5; number++) {
      const startedMs = performance.now();
      const attempts = await Promise.all([send(), send(), send()]);
      expect(performance.now() - startedMs).toBeLessThan(ANSWERED_MS_MAX);
      for (const attempt of attempts) {
        expect(attempt).toMatchObject({ outcome: "refused", status: 503, code: "QUEUE_UNAVAILABLE" });
        expect(attempt.retryAfterMs).toBeGreaterThan(0);
      }
    }
    await Promise.all(down.map((node) => node.restart()));
    await vi.waitFor(async () => expect((await send()).outcome).toBe("acknowledged"), PATIENCE);
    await vi.waitFor(async () => expect(await readiness()).toBe(200), PATIENCE);
    await stage.drained();
  }
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered: await stage.redelivered(), mutations: ledger.outcomes() });
});
