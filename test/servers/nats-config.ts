import { join } from "node:path";
import type { Certificates } from "./certificates.ts";

/** Options of a test's NATS server beyond the defaults. */
export interface NatsConfig {
  /** Every acknowledged message is on disk (`sync_interval: always`), as the deploy files have it. */
  syncAlways?: boolean;
  /** The largest message, in bytes; the server's own default is 1 MiB. */
  maxPayload?: number;
  user?: string;
  password?: string;
  /** Clients must use TLS and trust the handle's `caFile`. */
  tls?: boolean;
}

// A server's other ports follow from its first node's client port P, which has a multiple of ten to itself:
// clients at P, P+1 and P+2, cluster routes at +2000, monitoring at +4000. From the usual 4222 that gives the
// usual 6222 and 8222.
const ROUTE_OFFSET = 2000;
const MONITOR_OFFSET = 4000;

/** The ports that `nodes` nodes take, as offsets from the base port. */
export function natsPortOffsets(nodes: number): number[] {
  return [...Array(nodes).keys()].flatMap((i) => [i, ROUTE_OFFSET + i, MONITOR_OFFSET + i]);
}

/** Where a node with that client port answers HTTP about its own state. */
export function monitorUrl(port: number): string {
  return `http://127.0.0.1:${port + MONITOR_OFFSET}`;
}

// A limit on what streams may reserve, not on what the disk must have: the service's streams reserve 11 GiB
// by default, and many tests make their own.
const FILE_STORE_MAX_BYTES = 2 ** 40;

/** The configuration file of one node. JSON is a subset of the language that nats-server reads. */
export function natsConfigFile(options: {
  index: number;
  nodes: number;
  basePort: number;
  directory: string;
  config: NatsConfig;
  certificates: Certificates | undefined;
}): string {
  const { index, nodes, basePort, directory, config, certificates } = options;
  const routes = [...Array(nodes).keys()].map((i) => `nats-route://127.0.0.1:${basePort + ROUTE_OFFSET + i}`);
  return JSON.stringify(
    {
      server_name: `nats-${index + 1}`,
      listen: `127.0.0.1:${basePort + index}`,
      http: `127.0.0.1:${basePort + MONITOR_OFFSET + index}`,
      jetstream: {
        store_dir: join(directory, "jetstream"),
        max_file_store: FILE_STORE_MAX_BYTES,
        ...(config.syncAlways && { sync_interval: "always" }),
      },
      ...(nodes > 1 && {
        cluster: { name: "impressions", listen: `127.0.0.1:${basePort + ROUTE_OFFSET + index}`, routes },
      }),
      ...(config.maxPayload !== undefined && { max_payload: config.maxPayload }),
      ...(config.user !== undefined && {
        authorization: { user: config.user, password: config.password ?? "" },
      }),
      ...(certificates && { tls: { cert_file: certificates.certFile, key_file: certificates.keyFile } }),
    },
    null,
    2,
  );
}
