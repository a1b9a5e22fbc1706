import { join } from "node:path";
import { startServiceProcess } from "../../test/kit/service-process.ts";
import { AUDIENCE, createTokenIssuer, ISSUER } from "../../test/kit/tokens.ts";
import { type ChildServer, startChildServer } from "../support/child-server.ts";

/** A server that answers the same mutation, with a stream of its own on the same NATS. */
export interface Contestant extends ChildServer {
  readonly name: ContestantName;
  readonly stream: string;
  /** Headers that a client of that user sends with the mutation. */
  headersOf(userId: string): Promise<Readonly<Record<string, string>>>;
}

export type ContestantName = "service" | "before" | "jwt" | "bare" | "yoga" | "mercurius" | "grouped";

const BASELINES = ["bare", "yoga", "mercurius", "grouped"] as const;
/** Room for what is published in one round; it is purged after each. */
const QUEUE_MAX_BYTES = "4GiB";

/**
 * Starts what is named of the service's API (without authentication, the same from another checkout, with tokens signed by
 * RS256) and of the four baselines, each a process; none has a store to write to.
 */
export async function startContestants(options: {
  readonly natsServers: readonly string[];
  readonly replicas: number;
  readonly names: readonly ContestantName[];
  readonly profileDirectory: string | null;
  readonly beforeDirectory: string | null;
}): Promise<Contestant[]> {
  const environmentOf = (name: ContestantName) => ({
    NODE_ENV: "production",
    ENGINE: "cluster",
    NATS_SERVERS: options.natsServers.join(","),
    NATS_NAMESPACE: name,
    QUEUE_REPLICAS: String(options.replicas),
    QUEUE_MAX_BYTES,
    // No process listens there; the API takes mutations nevertheless.
    SCYLLA_CONTACT_POINTS: "127.0.0.1:1",
  });
  const tokens = await createTokenIssuer();
  const authentication = {
    AUTH: "jwt",
    JWT_PUBLIC_KEY: tokens.publicPem,
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
    // All requests come from one address: the rate limits count, and refuse none.
    REQUESTS_PER_MINUTE_MAX: "1000000000",
    IMPRESSIONS_PER_MINUTE_MAX: "1000000000",
    IMPRESSIONS_PER_DAY_MAX: "1000000000",
  };
  const profiling =
    options.profileDirectory === null
      ? {}
      : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${options.profileDirectory}` };
  const started: Contestant[] = [];
  async function startApi(
    name: "service" | "before" | "jwt",
    more: Readonly<Record<string, string>>,
    headersOf: Contestant["headersOf"],
    root?: string,
  ): Promise<void> {
    const service = await startServiceProcess({ ...environmentOf(name), ...more }, "api", root);
    const stop = async () => void (await service.kill("SIGTERM"));
    started.push({ name, stream: streamOf(name), url: service.url, pid: service.pid, stop, headersOf });
  }
  try {
    await startApi("service", profiling, withoutHeaders);
    if (options.beforeDirectory !== null)
      await startApi("before", {}, withoutHeaders, options.beforeDirectory);
    if (options.names.includes("jwt"))
      await startApi("jwt", authentication, async (sub) => ({
        authorization: `Bearer ${await tokens.sign({ sub, scope: "impressions:write" })}`,
      }));
    for (const name of BASELINES.filter((baseline) => options.names.includes(baseline))) {
      const file = join(import.meta.dirname, "baselines", `${name}.ts`);
      const server = await startChildServer(file, environmentOf(name));
      started.push({ name, stream: streamOf(name), headersOf: withoutHeaders, ...server });
    }
    return started;
  } catch (error) {
    await stopContestants(started);
    throw error;
  }
}

function streamOf(name: ContestantName): string {
  return name.toUpperCase();
}

async function withoutHeaders(): Promise<Readonly<Record<string, string>>> {
  return {};
}

export async function stopContestants(contestants: readonly Contestant[]): Promise<void> {
  await Promise.all(contestants.map((contestant) => contestant.stop()));
}
