import { expect, vi } from "vitest";
import { randomList, startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, logged, openStage, PATIENCE } from "./support/stage.ts";

scenario("14 consumer deleted while running: made anew, and loudly", async (chaos) => {
  const { ledger, random } = chaos;
  const stage = await openStage();
  const { url } = await stage.start("api");
  const worker = await stage.start("worker");
  const senders = startSenders({ ledger, random, url: () => url, senders: 4, users: 30, posts: 40 });
  for (let round = 1; round <= 3; round++) {
    const enough = ledger.acknowledged() + 200;
    await vi.waitFor(() => expect(ledger.acknowledged()).toBeGreaterThan(enough), PATIENCE);
    await stage.manager.consumers.delete(stage.names.stream, stage.names.consumer);
    await vi.waitFor(async () => void (await stage.consumer()), PATIENCE);
  }
  await logged(worker, "the consumer was deleted: made it anew");
  await senders.stop();
  await stage.drained();
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures });
});

scenario("14 stream deleted while running: a loud, clear state, and recovery", async (chaos) => {
  const { ledger, random } = chaos;
  const stage = await openStage();
  const api = await stage.start("api");
  const worker = await stage.start("worker");
  const send = () => ledger.send(api.url, `user-${random.integer(1, 20)}`, randomList(random, 30));
  for (let number = 0; number < 30; number++) expect((await send()).outcome).toBe("acknowledged");
  await stage.drained();

  await stage.manager.streams.delete(stage.names.stream);
  for (let number = 0; number < 3; number++)
    expect(await send()).toMatchObject({ outcome: "refused", status: 503, code: "QUEUE_UNAVAILABLE" });
  const readiness = await fetch(`${api.url}/readyz`);
  expect(readiness.status).toBe(503);
  expect(await readiness.text()).toContain("does not exist any more");
  await Promise.all([api, worker].map((process) => logged(process, "does not exist any more")));

  // As the log says: any process of the service makes it anew when it starts. The others go on by themselves.
  const another = await stage.start("worker");
  await vi.waitFor(async () => expect((await send()).outcome).toBe("acknowledged"), PATIENCE);
  await another.kill("SIGTERM");
  for (let number = 0; number < 30; number++) expect((await send()).outcome).toBe("acknowledged");
  await stage.drained();
  expect((await fetch(`${api.url}/readyz`)).status).toBe(200);
  const figures = await ledger.check(api.url);
  expectAllStored(figures);
  chaos.report({ ...figures, mutations: ledger.outcomes() });
});
