import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { FrameSplitter } from "./wire-frames.ts";

/** Whence the bytes come: `client` asks, `server` answers. */
export type Side = "client" | "server";

/**
 * What becomes of one piece of a connection's traffic: a frame where the proxy knows the protocol, else what one read
 * brought. DROP: it is gone, the rest goes on. HOLD: it waits, and with it everything behind it, until `release`. PARK: it
 * waits for `release` alone. Bytes: they go instead of it.
 */
export type Verdict = "PASS" | "DROP" | "HOLD" | "PARK" | Buffer;

/** Decides about every piece; never called for what was held before. */
export type Rule = (piece: Buffer, from: Side, connection: ProxiedConnection) => Verdict;

export interface ProxiedConnection {
  /** 1 for the proxy's first one. */
  readonly number: number;
  /** Bytes that went through, in both directions. */
  readonly bytes: number;
  /** Cuts it off with an RST on both sides. */
  reset(): void;
}

/**
 * A proxy in front of one server, to do to a connection what networks do. Everything acts on the connections that are
 * open and on those that come later, unless it says otherwise.
 */
export interface TcpProxy {
  /** `host:port` to connect to. */
  readonly address: string;
  /** Those that are open. */
  connections(): readonly ProxiedConnection[];
  /** Connections so far. */
  accepted(): number;
  /** Sets the function that decides about the traffic; without one, or with null, everything passes. */
  setRule(rule: Rule | null): void;
  /** Lets go what is held, in its order. The rule stays. */
  release(): void;
  /** Every byte takes so much longer, in each direction. 0 at first. */
  setLatency(latencyMs: number): void;
  /** Connections are taken and nothing is ever forwarded or answered: of those that are open, and of new ones until `heal`. */
  swallow(): void;
  /** The open connections swallow everything for good, as one does whose other end lost power; new ones are fine. */
  swallowOpen(): void;
  /** Every connection is cut with an RST, and new ones are until `heal`: the server's process is gone. */
  refuse(): void;
  /** Cuts the open ones with an RST; new ones are fine. */
  reset(): void;
  /** New connections are forwarded, and nothing is held, dropped or slow any more. */
  heal(): void;
  close(): Promise<void>;
}

interface Link extends ProxiedConnection {
  bytes: number;
  /** Nothing is forwarded, for good. */
  dead: boolean;
  resume(): void;
}

/**
 * Puts a proxy in front of `target` (`host:port`).
 *
 * @param split cuts the traffic into the protocol's frames.
 * @param at the address of this machine where it listens.
 */
export async function startTcpProxy(
  target: string,
  split?: FrameSplitter,
  at = "127.0.0.1",
): Promise<TcpProxy> {
  const [host = "", port = ""] = target.split(":");
  const links = new Set<Link>();
  let rule: Rule | null = null;
  let latencyMs = 0;
  let accepting: "forward" | "swallow" | "refuse" = "forward";
  let accepted = 0;

  function open(client: Socket): void {
    accepted++;
    client.on("error", () => undefined);
    if (accepting === "refuse") return void client.resetAndDestroy();
    const server = connect({ host, port: Number(port), noDelay: true });
    server.on("error", () => undefined);
    const sockets = { client, server };
    const pipes = [
      pipe(
        client,
        (piece) => decide(piece, "client"),
        () => write(server),
      ),
      pipe(
        server,
        (piece) => decide(piece, "server"),
        () => write(client),
      ),
    ];
    const link: Link = {
      number: accepted,
      bytes: 0,
      dead: accepting === "swallow",
      reset() {
        links.delete(link);
        for (const socket of Object.values(sockets)) socket.resetAndDestroy();
      },
      resume() {
        for (const resume of pipes) resume();
      },
    };
    links.add(link);

    function decide(piece: Buffer, from: Side): Verdict {
      return link.dead ? "DROP" : (rule?.(piece, from, link) ?? "PASS");
    }

    function write(to: Socket): (piece: Buffer) => void {
      return (piece) => {
        link.bytes += piece.byteLength;
        const send = () => (to.destroyed || link.dead ? undefined : to.write(piece));
        // Timers of one delay fire in the order in which they were set.
        if (latencyMs > 0) setTimeout(send, latencyMs);
        else send();
      };
    }

    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // A dead connection does not report that its other end has gone.
      socket.on("end", () => (link.dead ? undefined : other.end()));
      socket.on("close", () => {
        if (link.dead) return;
        links.delete(link);
        other.destroy();
      });
    }
  }

  /** Reads a socket piece by piece. @returns how to go on with what is held. */
  function pipe(
    from: Socket,
    decide: (piece: Buffer) => Verdict,
    sink: () => (piece: Buffer) => void,
  ): () => void {
    const send = sink();
    let unread: Buffer = Buffer.alloc(0);
    let held: Buffer[] = [];
    const parked: Buffer[] = [];
    let holding = false;
    from.on("data", (bytes: Buffer) => {
      const { frames, rest } = split?.(Buffer.concat([unread, bytes])) ?? {
        frames: [bytes],
        rest: Buffer.alloc(0),
      };
      unread = rest;
      for (const frame of frames) take(frame);
    });

    function take(frame: Buffer): void {
      if (holding) return void held.push(frame);
      const verdict = decide(frame);
      if (verdict === "PASS") send(frame);
      else if (verdict === "PARK") parked.push(frame);
      else if (verdict === "HOLD") {
        holding = true;
        held.push(frame);
      } else if (verdict !== "DROP") send(verdict);
    }

    return () => {
      for (const frame of parked.splice(0)) send(frame);
      const waiting = held;
      held = [];
      holding = false;
      const [first, ...others] = waiting;
      if (first !== undefined) send(first);
      for (const frame of others) take(frame);
    };
  }

  const listener = createServer({ noDelay: true }, open);
  listener.listen(0, at);
  await once(listener, "listening");
  const release = () => {
    for (const link of links) link.resume();
  };
  const reset = () => {
    for (const link of [...links]) link.reset();
  };
  return {
    address: `${at}:${(listener.address() as AddressInfo).port}`,
    connections: () => [...links],
    accepted: () => accepted,
    setRule(next) {
      rule = next;
    },
    release,
    setLatency(next) {
      latencyMs = next;
    },
    swallow() {
      accepting = "swallow";
      for (const link of links) link.dead = true;
    },
    swallowOpen() {
      for (const link of links) link.dead = true;
    },
    refuse() {
      accepting = "refuse";
      reset();
    },
    reset,
    heal() {
      accepting = "forward";
      rule = null;
      latencyMs = 0;
      release();
    },
    async close() {
      reset();
      listener.close();
      await once(listener, "close");
    },
  };
}
