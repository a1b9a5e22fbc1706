import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";

/** A network between an app and a service, that can be bad. */
export interface Network {
  /** Where the service is for the app. */
  readonly url: string;
  /**
   * `down`: connections are cut at once. `deaf`: requests reach the service, and the connection is cut as soon as it
   * begins to answer. `up`: nothing is changed.
   */
  state: "up" | "down" | "deaf";
  /** Answers that were cut off. */
  answersLost: number;
  /** The service has moved to another port. */
  moveTo(serviceUrl: string): void;
  close(): Promise<void>;
}

export async function createNetwork(serviceUrl: string): Promise<Network> {
  let { port } = new URL(serviceUrl);
  const sockets = new Set<Socket>();
  const server = createServer((app) => {
    if (network.state === "down") return app.destroy();
    const service = connect(Number(port), "127.0.0.1");
    for (const [socket, other] of [
      [app, service],
      [service, app],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    app.pipe(service);
    service.on("data", (bytes) => {
      if (network.state === "up") app.write(bytes);
      else {
        network.answersLost++;
        app.destroy();
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const network: Network = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
    state: "up",
    answersLost: 0,
    moveTo(movedUrl) {
      ({ port } = new URL(movedUrl));
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  return network;
}
