import { join } from "node:path";
import { startServiceProcess } from "../../test/support/service-process.ts";
import { type ChildServer, startChildServer } from "../support/child-server.ts";

/** A server that answers the same mutation, with a stream of its own on the same NATS. */
export interface Arm extends ChildServer {
  readonly name: ArmName;
  readonly stream: string;
}

export type ArmName = "service" | "bare" | "yoga" | "mercurius" | "grouped";

const BASELINES = ["bare", "yoga", "mercurius", "grouped"] as const;
/** Room for what is published in one round; it is purged after each. */
const QUEUE_MAX_BYTES = "4GiB";

/** Starts the service's API and the four baselines, each a process; none has a store to write to. */
export async function startArms(options: {
  readonly natsServers: readonly string[];
  readonly replicas: number;
  readonly profileDirectory: string | null;
}): Promise<Arm[]> {
  const environmentOf = (name: ArmName) => ({
    NODE_ENV: "production",
    ENGINE: "cluster",
    NATS_SERVERS: options.natsServers.join(","),
    NATS_NAMESPACE: name,
    QUEUE_REPLICAS: String(options.replicas),
    QUEUE_MAX_BYTES,
    // Nobody listens there: the API takes mutations all the same.
    SCYLLA_CONTACT_POINTS: "127.0.0.1:1",
  });
  const started: Arm[] = [];
  try {
    const service = await startServiceProcess(
      {
        ...environmentOf("service"),
        ...(options.profileDirectory === null
          ? {}
          : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${options.profileDirectory}` }),
      },
      "api",
    );
    const stop = async () => void (await service.kill("SIGTERM"));
    started.push({ name: "service", stream: "SERVICE", url: service.url, pid: service.pid, stop });
    for (const name of BASELINES) {
      const file = join(import.meta.dirname, "baselines", `${name}.ts`);
      started.push({
        name,
        stream: name.toUpperCase(),
        ...(await startChildServer(file, environmentOf(name))),
      });
    }
    return started;
  } catch (error) {
    await stopArms(started);
    throw error;
  }
}

export async function stopArms(arms: readonly Arm[]): Promise<void> {
  await Promise.all(arms.map((arm) => arm.stop()));
}
