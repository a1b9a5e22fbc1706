import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { PipelineDocument } from "../src/generated/operations.ts";
import { createTemporaryDirectory } from "../test/kit/directory.ts";
import { query } from "../test/kit/graphql-request.ts";
import { createRandom } from "../test/kit/random.ts";
import { runCommand, startServiceProcess } from "../test/kit/service-process.ts";
import { walkSeenPosts } from "../test/kit/walks.ts";
import { addSample, createSecond, phaseTable, plot, type Second } from "./figures.ts";
import { createShopOwner, type ShopOwner } from "./shop-owners.ts";
import { createLiveView } from "./terminal.ts";

/**
 * `npm run demo`: shop owners scroll feeds with the SDK. A campaign brings all of them into the app at once; some lose the
 * network, and some apps are killed. At the end the stored views must be exactly the acknowledged ones.
 */

const OWNERS_MAX = 5_000;
const SECONDS_MAX = 300;
const TICK_MS = 100;
/** How long the phones and the queue may take to drain at the end. */
const DRAIN_MS_MAX = 60_000;
/** Share of the owners who have the app open before and after the campaign; during it all of them do. */
const QUIET_SHARE = 0.1;
/** Views a second of a scrolling owner; more in the campaign. */
const QUIET_VIEWS_PER_S = 1;
const CAMPAIGN_VIEWS_PER_S = 2.5;
/** Share of the owners who lose the network in the campaign, and share of those whose app is killed. */
const TROUBLED_SHARE = 0.1;
const READS_AT_ONCE = 8;

const whole = (max: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) throw new InvalidArgumentError(`1 to ${max}`);
  return value;
};
const {
  owners: ownerCount,
  seconds: duration,
  seed,
  cluster,
  out,
} = new Command("demo")
  .option("--owners <n>", "shop owners", whole(OWNERS_MAX), 400)
  .option("--seconds <n>", "how long they scroll", whole(SECONDS_MAX), 40)
  .option("--seed <n>", "of everything random", whole(2 ** 31), 1)
  .option(
    "--cluster",
    "on the servers that `npm run services` has started, or those of the environment",
    false,
  )
  .option("--out <directory>", "for the plot", "demo-output")
  .parse()
  .opts<{ owners: number; seconds: number; seed: number; cluster: boolean; out: string }>();

const directory = createTemporaryDirectory();
const environment = cluster ? clusterEnvironment() : { DATA_DIR: directory.path };
if (cluster) await migrate();
const service = await startServiceProcess({ ...environment, LOG_LEVEL: "info" });
try {
  await demonstrate(service.url);
} finally {
  await service.kill("SIGTERM");
  directory.remove();
}

async function demonstrate(url: string): Promise<void> {
  const random = createRandom(seed);
  const seconds: Second[] = [createSecond("quiet")];
  const current = () => seconds.at(-1) as Second;
  const endpoint = new URL("/graphql", url).href;
  const owners = Array.from({ length: ownerCount }, (_, index) =>
    createShopOwner(`owner-${index}`, endpoint, random, (sample) => addSample(current(), sample)),
  );
  console.log(
    `${ownerCount} shop owners, ${cluster ? "JetStream and Cassandra" : "the embedded engine"} at ${endpoint}\n`,
  );
  const view = createLiveView(process.stdout);
  const startMs = performance.now();

  for (let elapsedMs = 0; elapsedMs < duration * 1_000; elapsedMs = performance.now() - startMs) {
    const second = Math.floor(elapsedMs / 1_000);
    while (seconds.length <= second) {
      await closeSecond(url, current(), owners);
      view.show(seconds, duration);
      trouble(seconds.length, owners);
      seconds.push(createSecond(phaseAt(seconds.length)));
    }
    const campaign = phaseAt(second) === "campaign";
    const awake = Math.ceil(campaign ? ownerCount : ownerCount * QUIET_SHARE);
    const chance = ((campaign ? CAMPAIGN_VIEWS_PER_S : QUIET_VIEWS_PER_S) * TICK_MS) / 1_000;
    for (const owner of owners.slice(0, awake)) {
      if (!random.chance(chance)) continue;
      owner.scroll(Date.now());
      current().views++;
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await closeSecond(url, current(), owners);
  // The requests that drain the phones at the end are not part of the plot.
  const shown = [...seconds];
  seconds.push(createSecond("settling"));
  await report(url, shown, owners);
}

/** A quarter of the time is before the campaign, a third is the campaign, the rest is after it. */
function phaseAt(second: number): string {
  if (second < duration / 4) return "quiet";
  return second < (duration * 7) / 12 ? "campaign" : "after";
}

/** Early in the campaign some owners lose the network until its end; in the middle some apps are killed and start again. */
function trouble(second: number, owners: readonly ShopOwner[]): void {
  const every = Math.round(1 / TROUBLED_SHARE);
  for (const [index, owner] of owners.entries()) {
    if (index % every === 0) owner.setOnline(!(second > duration * 0.3 && second < duration * 0.65));
    if (index % every === 1 && second === Math.round(duration * 0.4)) owner.restart();
  }
}

async function closeSecond(url: string, second: Second, owners: readonly ShopOwner[]): Promise<void> {
  const { pipeline } = await query(url, PipelineDocument, {});
  second.backlog = pipeline.pending;
  second.deadLetters = pipeline.deadLetters;
  second.waiting = owners.reduce((sum, owner) => sum + owner.waiting(), 0);
}

async function report(url: string, seconds: readonly Second[], owners: readonly ShopOwner[]): Promise<void> {
  await drain(url, owners);
  console.log(`\n${phaseTable(seconds)}\n`);
  await mkdir(out, { recursive: true });
  const file = join(out, "write-latency.svg");
  await writeFile(file, plot(seconds, `${ownerCount} shop owners through a campaign`));

  const sum = (count: (owner: ShopOwner) => number) =>
    owners.reduce((total, owner) => total + count(owner), 0);
  const viewed = sum(({ views }) => [...views.values()].reduce((total, count) => total + count, 0));
  const wrong = await findWrong(url, owners);
  const { pipeline } = await query(url, PipelineDocument, {});
  console.log(
    `viewed ${viewed}, acknowledged ${sum((owner) => owner.acknowledged())}, dropped ${sum((owner) => owner.dropped())}, dead letters ${pipeline.deadLetters}`,
  );
  console.log(
    wrong.length === 0
      ? `stored: every view of every owner, each once (${owners.length} histories read)`
      : `WRONG: ${wrong.slice(0, 5).join("; ")} (${wrong.length} in all)`,
  );
  console.log(`plot: ${file}`);
  if (wrong.length > 0 || sum((owner) => owner.acknowledged()) !== viewed) process.exitCode = 1;
}

/** Waits until all phones and the queue are empty, or DRAIN_MS_MAX is over. */
async function drain(url: string, owners: readonly ShopOwner[]): Promise<void> {
  const deadlineMs = performance.now() + DRAIN_MS_MAX;
  for (const owner of owners) owner.setOnline(true);
  while (performance.now() < deadlineMs) {
    await Promise.all(owners.map((owner) => owner.flush()));
    const { pipeline } = await query(url, PipelineDocument, {});
    if (pipeline.pending === 0 && owners.every((owner) => owner.waiting() === 0)) return;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}

/** Compares the views of each owner with the answers of the service. */
async function findWrong(url: string, owners: readonly ShopOwner[]): Promise<string[]> {
  const wrong: string[] = [];
  const left = [...owners];
  const readers = Array.from({ length: READS_AT_ONCE }, async () => {
    for (let owner = left.pop(); owner !== undefined; owner = left.pop()) {
      const stored = new Map(
        (await walkSeenPosts(url, owner.userId)).map(({ post, views }) => [post.id, views]),
      );
      for (const postId of new Set([...owner.views.keys(), ...stored.keys()])) {
        const [was, is] = [owner.views.get(postId) ?? 0, stored.get(postId) ?? 0];
        if (was !== is) wrong.push(`${owner.userId} viewed ${postId} ${was} times, stored ${is}`);
      }
    }
  });
  await Promise.all(readers);
  return wrong;
}

/** The demo's own namespace and keyspace. */
function clusterEnvironment(): Record<string, string> {
  const name = `demo${Date.now().toString(36)}`;
  const given = Object.entries(process.env).filter(([key]) => /^(NATS|SCYLLA)_/.test(key)) as [
    string,
    string,
  ][];
  return {
    ...Object.fromEntries(given),
    ENGINE: "cluster",
    NATS_NAMESPACE: name,
    SCYLLA_KEYSPACE: name,
    QUEUE_MAX_BYTES: "256MiB",
    DEAD_LETTER_MAX_BYTES: "64MiB",
  };
}

async function migrate(): Promise<void> {
  const { code, stderr } = await runCommand(environment, "migrate", "--create-keyspace", "1");
  if (code !== 0) throw new Error(`no cluster to run on; start one with \`npm run services\`:\n${stderr}`);
}
