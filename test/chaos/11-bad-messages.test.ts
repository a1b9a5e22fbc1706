import { expect } from "vitest";
import { walkDeadLetters } from "../support/ledger.ts";
import { randomList } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { openStage, ownNats } from "./support/stage.ts";

const MIB = 1_024 * 1_024;
/** Larger than what a worker pulls at once (2 MiB with two loops), so that it comes alone. */
const OVERSIZE_BYTES = 3 * MIB;

scenario("11 malformed, unknown-version and oversize messages: one dead letter each", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const nats = await ownNats({ config: { maxPayload: 8 * MIB } });
  const stage = await openStage({ nats });
  const { url } = await stage.start("api");
  const publish = (body: string | Uint8Array) =>
    stage.nats.jetstream().publish(stage.names.publishSubject, body);

  const bad = [
    "",
    "not JSON",
    Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d),
    "[]",
    `{"v":2,"submissions":[]}`,
    `{"v":1}`,
    `{"v":1,"submissions":[{"userId":"u","receivedAtUs":"now","impressions":[]}]}`,
    "[".repeat(100_000),
    Uint8Array.from({ length: OVERSIZE_BYTES }, () => random.integer(0, 255)),
  ];
  const rounds = sized({ short: 1, full: 8 });
  for (let round = 0; round < rounds; round++) {
    for (const body of random.shuffle(bad)) {
      await publish(body);
      const list = randomList(random, 20);
      const badOne = { postId: "out of bounds", viewedAt: new Date().toISOString(), position: -1 };
      const all = round === 0 && body === "" ? [...list, badOne] : list;
      expect((await ledger.send(url, `user-${random.integer(1, 10)}`, all)).outcome).toBe("acknowledged");
    }
  }
  await stage.start("worker");
  await stage.drained();
  const figures = await ledger.check(url);
  expect(figures).toMatchObject({ stored: figures.acknowledged - 1, deadLettered: 1 });
  const reasons = Map.groupBy(await walkDeadLetters(url), ({ reason }) => reason);
  expect([...reasons].map(([reason, letters]) => [reason, letters.length]).sort()).toEqual([
    ["INVALID_FIELD", 1],
    ["UNREADABLE_MESSAGE", rounds * bad.length],
  ]);
  chaos.report({ ...figures, badMessages: rounds * bad.length, redelivered: await stage.redelivered() });
});
