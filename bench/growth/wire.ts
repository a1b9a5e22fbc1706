import { setTimeout as sleep } from "node:timers/promises";
import { PipelineDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { startTcpProxy, type TcpProxy } from "../../test/servers/tcp-proxy.ts";
import type { BenchInstallation } from "../support/installation.ts";
import { startOpenLoad } from "../support/load.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";

const POLL_MS = 50;

/** Sends mutations through an API and a worker whose connections all go through proxies that count. */
export async function measureWireBytes(
  installation: BenchInstallation,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Record<string, number>> {
  const { nats, cassandra } = installation;
  const [natsServer = "", contactPoint = ""] = [nats.servers[0], cassandra.contactPoints[0]];
  const proxies = {
    "API to NATS": await startTcpProxy(natsServer),
    "NATS to worker": await startTcpProxy(natsServer),
    "worker to Cassandra": await startTcpProxy(contactPoint),
  };
  const api = await installation.start("api", { NATS_SERVERS: proxies["API to NATS"].address });
  const worker = await installation.start("worker", {
    NATS_SERVERS: proxies["NATS to worker"].address,
    SCYLLA_CONTACT_POINTS: proxies["worker to Cassandra"].address,
  });
  const named = { "phone to API": await startTcpProxy(new URL(api.url).host), ...proxies };
  const load = await startOpenLoad();
  try {
    const before = bytesOf(named);
    await load.run({
      url: `http://${named["phone to API"].address}`,
      phases: [{ perSecond, seconds }],
      traffic: "uniform",
      first: 0,
    });
    while ((await query(api.url, PipelineDocument, {})).pipeline.pending > 0) await sleep(POLL_MS);
    const after = bytesOf(named);
    const impressions = perSecond * seconds * IMPRESSIONS_PER_MUTATION;
    return Object.fromEntries(
      Object.keys(named).map((name) => [name, ((after[name] ?? 0) - (before[name] ?? 0)) / impressions]),
    );
  } finally {
    load.stop();
    await Promise.all([api.kill("SIGTERM"), worker.kill("SIGTERM")]);
    await Promise.all(Object.values(named).map((proxy) => proxy.close()));
  }
}

function bytesOf(proxies: Readonly<Record<string, TcpProxy>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(proxies).map(([name, proxy]) => [
      name,
      proxy.connections().reduce((sum, { bytes }) => sum + bytes, 0),
    ]),
  );
}
