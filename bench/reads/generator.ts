// The load generator: a process of its own that asks the questions of all scenarios, one after another, by GraphQL over
// HTTP, by the bare route or with the bare driver, as run.ts tells it by messages, and answers with the latencies.

import { Agent, request } from "node:http";
import { openEngine } from "../../src/app/open-engine.ts";
import { readConfig } from "../../src/config.ts";
import { systemClock } from "../../src/domain/time.ts";
import { connectClient } from "../../src/scylla/connection.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { type Contestant, type Question, questionsOf, SCENARIOS } from "./scenarios.ts";
import { replay, statementsOf, type Waves } from "./waves.ts";

/** Different questions of a scenario. */
const QUESTIONS = 200;

export interface Order {
  readonly scenario: number;
  readonly contestant: Contestant;
  readonly durationMs: number;
}

export interface Measured {
  readonly latenciesMs: readonly number[];
  readonly statements: number;
}

const [users = "0", graphqlUrl = "", bareUrl = "", beforeUrl = ""] = process.argv.slice(2);
const urls = { graphql: graphqlUrl, before: beforeUrl, bare: bareUrl };
const config = readConfig({ ENGINE: "cluster", ...process.env });
const logger = createLogger("silent");
const client = await connectClient(
  {
    contactPoints: config.SCYLLA_CONTACT_POINTS,
    localDataCenter: config.SCYLLA_LOCAL_DC,
    keyspace: config.SCYLLA_KEYSPACE,
    requestTimeoutMs: config.SCYLLA_REQUEST_TIMEOUT_MS,
  },
  config.SCYLLA_KEYSPACE,
  logger,
);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

const questions: { readonly asked: readonly Question[]; readonly waves: readonly Waves[] }[] = [];
const { store, close } = await openEngine(config, logger, { waitForStore: true, clock: systemClock });
for (const scenario of SCENARIOS) {
  const asked = questionsOf(scenario, Number(users), QUESTIONS);
  const waves: Waves[] = [];
  for (const question of asked) waves.push(await statementsOf(() => question.ask(store)));
  questions.push({ asked, waves });
}
await close();

process.on("message", async (order: Order) => {
  process.send?.(await measure(order));
});
process.send?.("ready");

async function measure({ scenario, contestant, durationMs }: Order): Promise<Measured> {
  const { asked, waves } = questions[scenario] ?? { asked: [], waves: [] };
  const latenciesMs: number[] = [];
  const endMs = performance.now() + durationMs;
  for (let index = 0; performance.now() < endMs; index = (index + 1) % asked.length) {
    const startedMs = performance.now();
    if (contestant === "cql") await replay(client, waves[index] ?? []);
    else await post(urls[contestant], asked[index]?.body ?? "");
    latenciesMs.push(performance.now() - startedMs);
  }
  return { latenciesMs, statements: waves.reduce((sum, wave) => sum + wave.flat().length, 0) / waves.length };
}

/** One request on a connection that is kept (one to each server); an answer with errors ends the bench. */
function post(url: string, body: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL("/graphql", url),
      { method: "POST", agent, headers: { "content-type": "application/json" } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const json = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { errors?: unknown };
          if (json.errors === undefined) resolve(json);
          else reject(new Error(JSON.stringify(json.errors)));
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}
