import { expect, vi } from "vitest";
import type { Rule, TcpProxy } from "../servers/tcp-proxy.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, PATIENCE, type Stage } from "./support/stage.ts";

const USERS = 10;
const POSTS = 20;
/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>...`, and the word. */
const ACK = /^PUB \$JS\.ACK\.[^.]+\.[^.]+\.\d+\.(\d+)\..*\r\n\+ACK\r\n$/s;

scenario("01 worker kill -9 after the store write and before the ack", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const stage = await openStage({ environment: ackWait(sized({ short: 2_000, full: 30_000 })) });
  const { url } = await stage.start("api");
  const proxy = await stage.natsProxy();
  let redelivered = 0;

  for (let round = sized({ short: 1, full: 3 }); round > 0; round--) {
    await fill(sized({ short: 30, full: 300 }));
    const queued = (await stage.stream()).state.messages;
    const acked = Promise.withResolvers<number>();
    proxy.setRule((piece, from) => {
      const sequence = from === "client" ? ACK.exec(piece.toString("latin1"))?.[1] : undefined;
      if (sequence === undefined) return "PASS";
      acked.resolve(Number(sequence));
      return "HOLD";
    });
    const worker = await stage.start("worker", { NATS_SERVERS: proxy.address });
    const sequence = await acked.promise;
    expect(await stage.committedMessages()).toContain(sequence);
    await worker.kill("SIGKILL");
    await cutOff(proxy);
    expect((await stage.stream()).state.messages).toBe(queued);

    const other = await stage.start("worker");
    await stage.drained();
    redelivered = await stage.redelivered();
    expect(redelivered).toBeGreaterThan(0);
    await other.kill("SIGTERM");
  }
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered });

  function fill(lists: number): Promise<void> {
    return startSenders({ ledger, random, url: () => url, senders: 4, users: USERS, posts: POSTS, lists })
      .finished;
  }
});

scenario("01 worker kill -9 mid-batch", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const stage = await openStage({ environment: ackWait(sized({ short: 2_000, full: 30_000 })) });
  const { url } = await stage.start("api");
  const proxy = await stage.cqlProxy();
  for (let round = sized({ short: 1, full: 3 }); round > 0; round--) {
    const lists = sized({ short: 40, full: 400 });
    await startSenders({ ledger, random, url: () => url, senders: 4, users: USERS, posts: POSTS, lists })
      .finished;
    const before = await rowCount(stage);
    const { rule, reached } = holdAfterFirstWrite();
    proxy.setRule(rule);
    const worker = await stage.start("worker", { SCYLLA_CONTACT_POINTS: proxy.address, WORKERS: "1" });
    await reached;
    await worker.kill("SIGKILL");
    await cutOff(proxy);
    expect((await stage.stream()).state.messages).toBeGreaterThan(0);
    const partly = await rowCount(stage);
    expect(partly).toBeGreaterThan(before);

    const other = await stage.start("worker");
    await stage.drained();
    expect(await rowCount(stage)).toBeGreaterThan(partly);
    await other.kill("SIGTERM");
  }
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered: await stage.redelivered() });
});

function ackWait(ms: number) {
  return { QUEUE_ACK_WAIT_MS: String(ms) };
}

/**
 * A write names its users. The first one passes and no other: the viewers come before the histories that wait for them, so
 * there are two at least, however many rows share a request.
 */
function holdAfterFirstWrite(): { readonly rule: Rule; readonly reached: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isFirst = true;
  return {
    reached: promise,
    rule(piece, from) {
      if (from === "server" || !piece.includes("user-")) return "PASS";
      if (isFirst) {
        isFirst = false;
        return "PASS";
      }
      resolve();
      return "HOLD";
    },
  };
}

/** The killed process's connections are gone, and with them what the proxy held: it never arrives. */
async function cutOff(proxy: TcpProxy): Promise<void> {
  await vi.waitFor(() => expect(proxy.connections()).toEqual([]), PATIENCE);
  proxy.heal();
}

async function rowCount({ client, keyspace }: Stage): Promise<number> {
  let rows = 0;
  for (const table of ["viewers_by_post", "user_packs"]) {
    const result = await client.execute(`SELECT count(*) AS rows FROM ${keyspace}.${table}`);
    rows += Number(result.rows[0]?.get("rows"));
  }
  return rows;
}
