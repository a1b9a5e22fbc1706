import { expect } from "vitest";
import type { Random } from "../kit/random.ts";
import type { Rule } from "../servers/tcp-proxy.ts";
import { cqlStream, cqlWriteTimeout, isCqlStatement } from "../servers/wire-frames.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage } from "./support/stage.ts";

scenario("09 write timeouts after the write applied", async (chaos) => {
  const { ledger, random } = chaos;
  const stage = await openStage();
  const { url } = await stage.start("api");
  const proxy = await stage.cqlProxy();
  const senders = startSenders({
    ledger,
    random,
    url: () => url,
    senders: 4,
    users: 20,
    posts: 30,
    lists: 300,
  });
  await senders.finished;
  const lies = { timeouts: 0, silences: 0 };
  proxy.setRule(answerWritesBadly(random, lies));
  await stage.start("worker", { SCYLLA_CONTACT_POINTS: proxy.address, SCYLLA_REQUEST_TIMEOUT_MS: "1000" });
  await stage.drained();
  expect(lies.timeouts).toBeGreaterThan(0);
  expect(lies.silences).toBeGreaterThan(0);
  const figures = await ledger.check(url);
  expectAllStored(figures);
  chaos.report({ ...figures, ...lies, redelivered: await stage.redelivered() });
});

/** So many answers are wrong or missing; each of their writes was carried out all the same. */
const LIES = 40;

function answerWritesBadly(random: Random, lies: { timeouts: number; silences: number }): Rule {
  const writes = new Map<string, "timeouts" | "silences">();
  let left = LIES;
  return (piece, from, { number }) => {
    const request = `${number} ${cqlStream(piece)}`;
    if (from === "client") {
      // Only writes name a user.
      if (left > 0 && isCqlStatement(piece) && piece.includes("user-") && random.chance(0.5)) {
        left--;
        writes.set(request, random.chance(0.5) ? "timeouts" : "silences");
      }
      return "PASS";
    }
    const lie = writes.get(request);
    if (lie === undefined) return "PASS";
    writes.delete(request);
    lies[lie]++;
    return lie === "timeouts" ? cqlWriteTimeout(cqlStream(piece)) : "DROP";
  };
}
