import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy on loopback in front of a real server, which can fall silent without closing anything. */
export interface StallingProxy {
  /** `host:port` to connect to. */
  readonly address: string;
  /** From now on nothing passes in either direction; connections stay open. */
  stall(): void;
  /** What was held back passes, and everything after it. */
  resume(): void;
  close(): Promise<void>;
}

/** @param target `host:port` of the real server. */
export async function startStallingProxy(target: string): Promise<StallingProxy> {
  const colon = target.lastIndexOf(":");
  const [host, port] = [target.slice(0, colon), Number(target.slice(colon + 1))];
  const sockets = new Set<Socket>();
  let isStalled = false;

  function forward(from: Socket, to: Socket): void {
    sockets.add(from);
    from.on("data", (bytes) => to.write(bytes));
    from.once("close", () => {
      sockets.delete(from);
      to.destroy();
    });
    from.on("error", () => from.destroy());
    if (isStalled) from.pause();
  }

  const server = createServer((client) => {
    const upstream = connect({ host, port });
    forward(client, upstream);
    forward(upstream, client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stall() {
      isStalled = true;
      for (const socket of sockets) socket.pause();
    },
    resume() {
      isStalled = false;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
