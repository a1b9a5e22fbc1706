import { rmSync } from "node:fs";
import { type ManagedNode, stopNode } from "./server-node.ts";

/**
 * What waits for a cluster: until every node serves clients, and then until `together`, a probe of the
 * cluster as a whole, finds nothing missing.
 */
export function readyTogether(
  nodes: readonly ManagedNode[],
  together: () => Promise<void>,
): () => Promise<void> {
  return async () => {
    await Promise.all(nodes.map((node) => node.ready()));
    if (nodes.length > 1) await nodes[0]?.ready(together);
  };
}

/** Starts every node and waits until the cluster is ready. If one does not come up, none is left behind. */
export async function startAll(
  nodes: readonly ManagedNode[],
  ready: () => Promise<void>,
  stop: () => Promise<void>,
): Promise<void> {
  try {
    // Every start has come to its end before anything is stopped: a node that is still starting could not be.
    const starts = await Promise.allSettled(nodes.map((node) => node.start()));
    for (const start of starts) if (start.status === "rejected") throw start.reason;
    await ready();
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * What stops a cluster, for good and however often it is called, and removes `directory`. Nodes whose data
 * goes with it are killed, which is fast; data that is kept is worth a stop in good order.
 */
export function stopperOf(
  nodes: readonly ManagedNode[],
  directory: string,
  keepsData: boolean,
): () => Promise<void> {
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => (keepsData ? stopNode(node) : node.kill("SIGKILL"))));
    rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  };
  let stopping: Promise<void> | undefined;
  return () => {
    stopping ??= stop();
    return stopping;
  };
}
