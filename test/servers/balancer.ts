import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const CHECK_INTERVAL_MS = 50;
const CHECK_TIMEOUT_MS = 2_000;

/**
 * A load balancer as simple as they come: new connections go, in turn, to the back ends whose /readyz said 200 the last
 * time, and a connection stays where it is until one of its ends closes it. It repeats nothing: what a back end drops is
 * a failure that the client sees.
 */
export interface Balancer {
  readonly url: string;
  /** The back ends that get new connections now. */
  ready(): readonly string[];
  close(): Promise<void>;
}

/** @param backends their base URLs; they may come and go. */
export async function startBalancer(backends: readonly string[]): Promise<Balancer> {
  const ready = new Set<string>();
  const sockets = new Set<Socket>();
  const closing = new AbortController();
  let turn = 0;

  async function watch(backend: string): Promise<void> {
    while (!closing.signal.aborted) {
      const answer = await fetch(new URL("readyz", backend), {
        signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
        headers: { connection: "close" },
      }).catch(() => null);
      await answer?.body?.cancel();
      if (answer?.ok) ready.add(backend);
      else ready.delete(backend);
      await sleep(CHECK_INTERVAL_MS);
    }
  }
  const watching = Promise.all(backends.map(watch));

  const listener = createServer({ noDelay: true }, (client) => {
    const choice = [...ready][turn++ % Math.max(1, ready.size)];
    if (choice === undefined) return void client.resetAndDestroy();
    const { hostname, port } = new URL(choice);
    const server = connect({ host: hostname, port: Number(port), noDelay: true });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    ready: () => [...ready],
    async close() {
      closing.abort();
      listener.close();
      for (const socket of sockets) socket.destroy();
      await watching;
    },
  };
}
