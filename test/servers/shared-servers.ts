import { startCassandra } from "./cassandra.ts";
import { startNats } from "./nats.ts";
import { messageOf } from "./wait.ts";

/** A NATS and a Cassandra or ScyllaDB, wherever they come from. */
export interface SharedServers {
  /** `host:port` of each NATS node. */
  natsServers: string[];
  /** `host:port` of each Cassandra or ScyllaDB node. */
  scyllaContactPoints: string[];
  scyllaLocalDc: string;
  /** Where the logs of the servers started here are, if any were started. */
  logDirectory: string | undefined;
  /** Ends what was started here. Servers that the environment named are left alone. */
  stop(): Promise<void>;
}

/** Whether the environment names servers to test against, so that a run should not need any of its own. */
export function serversAreGiven(environment: NodeJS.ProcessEnv = process.env): boolean {
  return Boolean(environment.TEST_NATS_SERVERS || environment.TEST_SCYLLA_CONTACT_POINTS);
}

/**
 * One node of each, for the tests that share a server: those that `TEST_NATS_SERVERS` and
 * `TEST_SCYLLA_CONTACT_POINTS` (with `TEST_SCYLLA_LOCAL_DC`, datacenter1 unless given) name, and what they
 * don't name is started. Suites that break servers start some of their own.
 */
export async function openSharedServers(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<SharedServers> {
  const natsGiven = addressesOf(environment.TEST_NATS_SERVERS);
  const scyllaGiven = addressesOf(environment.TEST_SCYLLA_CONTACT_POINTS);
  const [nats, cassandra] = await Promise.allSettled([
    natsGiven ? undefined : startNats(),
    // Nothing restarts it: a test that breaks a server starts its own.
    scyllaGiven ? undefined : startCassandra({ keepsData: false }),
  ]);
  const started = [nats, cassandra].flatMap((start) =>
    start.status === "fulfilled" && start.value ? [start.value] : [],
  );
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((servers) => servers.stop()));
  };

  const reasons = [nats, cassandra].flatMap((start) =>
    start.status === "rejected" ? [start.reason as unknown] : [],
  );
  if (nats.status === "rejected" || cassandra.status === "rejected") {
    await stop();
    throw reasons.length === 1 ? reasons[0] : new AggregateError(reasons, reasons.map(messageOf).join("\n"));
  }
  return {
    natsServers: natsGiven ?? nats.value?.servers ?? [],
    scyllaContactPoints: scyllaGiven ?? cassandra.value?.contactPoints ?? [],
    scyllaLocalDc: cassandra.value?.localDataCenter ?? environment.TEST_SCYLLA_LOCAL_DC ?? "datacenter1",
    logDirectory: started[0]?.logDirectory,
    stop,
  };
}

function addressesOf(list: string | undefined): string[] | undefined {
  const addresses = (list ?? "").split(",").map((address) => address.trim());
  const given = addresses.filter((address) => address !== "");
  return given.length > 0 ? given : undefined;
}
