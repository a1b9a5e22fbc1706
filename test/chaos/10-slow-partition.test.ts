import { expect, vi } from "vitest";
import { UnseenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { isCqlStatement } from "../servers/wire-frames.ts";
import { randomList } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, PATIENCE } from "./support/stage.ts";

const SLOW = "hung-post";

scenario("10 one slow partition: others go on", async (chaos) => {
  const { ledger, random } = chaos;
  const stage = await openStage({ environment: { QUEUE_ACK_WAIT_MS: "5000" } });
  const { url } = await stage.start("api");
  const proxy = await stage.cqlProxy();
  // Writes to its partition are never answered, and never arrive.
  let hung = 0;
  proxy.setRule((piece, from) => {
    if (from === "server" || !isCqlStatement(piece) || !piece.includes(SLOW)) return "PASS";
    hung++;
    return "DROP";
  });
  await stage.start("worker", { SCYLLA_CONTACT_POINTS: proxy.address, SCYLLA_REQUEST_TIMEOUT_MS: "1000" });

  const inTrouble = Array.from({ length: 10 }, (_, index) => `slow-user-${index}`);
  const beside = { postId: "beside", viewedAt: new Date().toISOString() };
  for (const userId of inTrouble) await send(userId, [{ ...beside, postId: SLOW }, beside]);
  await vi.waitFor(() => expect(hung).toBeGreaterThan(0), PATIENCE);
  for (let number = 0; number < 200; number++)
    await send(`user-${random.integer(1, 30)}`, randomList(random, 40));

  // All others are settled, and the views beside the slow one in the same lists are there too.
  await vi.waitFor(
    async () => expect((await stage.stream()).state.messages).toBe(inTrouble.length),
    PATIENCE,
  );
  for (const userId of inTrouble) {
    const unseen = () => query(url, UnseenPostsDocument, { userId, candidates: [SLOW, "beside"] });
    await vi.waitFor(async () => expect(await unseen()).toEqual({ unseenPosts: [SLOW] }), PATIENCE);
  }
  proxy.heal();
  await stage.drained();
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, hungWrites: hung, redelivered: await stage.redelivered() });

  async function send(userId: string, list: Parameters<typeof ledger.send>[2]): Promise<void> {
    expect((await ledger.send(url, userId, list)).outcome).toBe("acknowledged");
  }
});
