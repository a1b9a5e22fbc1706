import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { startTcpProxy, type TcpProxy } from "../servers/tcp-proxy.ts";
import {
  cqlFrames,
  cqlStream,
  cqlWriteTimeout,
  type FrameSplitter,
  isCqlStatement,
  natsFrames,
} from "../servers/wire-frames.ts";

const PATIENCE = { timeout: 30_000 };
const lines: FrameSplitter = (bytes) => {
  const parts = bytes.toString().split(/(?<=\n)/);
  const rest = parts.at(-1)?.endsWith("\n") ? "" : (parts.pop() ?? "");
  return { frames: parts.map((part) => Buffer.from(part)), rest: Buffer.from(rest) };
};

/** A server that echoes, and what it has received. */
async function echoBehindProxy(split?: FrameSplitter) {
  const received = { text: "", connections: 0, closed: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    received.connections++;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => received.closed++);
    socket.on("data", (bytes: Buffer) => {
      received.text += bytes;
      socket.write(bytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await startTcpProxy(`127.0.0.1:${(server.address() as AddressInfo).port}`, split);
  onTestFinished(async () => {
    await proxy.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { proxy, received };
}

function dial(proxy: TcpProxy) {
  const state = { text: "", error: "", closed: false };
  const [host, port] = proxy.address.split(":");
  const socket = connect({ host: host ?? "", port: Number(port) });
  socket.on("data", (bytes: Buffer) => (state.text += bytes));
  socket.on("error", (error: NodeJS.ErrnoException) => (state.error = error.code ?? ""));
  socket.on("close", () => (state.closed = true));
  onTestFinished(() => void socket.destroy());
  return { socket, state };
}

const says = (state: { text: string }, text: string) =>
  vi.waitFor(() => expect(state.text).toBe(text), PATIENCE);

describe("a proxy", () => {
  test("forwards both ways, counts, and passes the end of a connection on", async () => {
    const { proxy, received } = await echoBehindProxy();
    const { socket, state } = dial(proxy);
    socket.write("hello");
    await says(state, "hello");
    expect(proxy.connections().map(({ bytes }) => bytes)).toEqual([10]);
    socket.end();
    await vi.waitFor(() => expect(received.closed).toBe(1), PATIENCE);
    await vi.waitFor(() => expect(proxy.connections()).toEqual([]), PATIENCE);
    expect(proxy.accepted()).toBe(1);
  });

  test("lets a rule pass, drop, replace, park and hold frames, each direction by itself", async () => {
    const { proxy, received } = await echoBehindProxy(lines);
    proxy.setRule((piece, from) => {
      const line = piece.toString();
      if (from === "server") return line === "secret\n" ? "DROP" : "PASS";
      if (line === "old\n") return Buffer.from("new\n");
      if (line === "later\n") return "PARK";
      return line === "wait\n" ? "HOLD" : "PASS";
    });
    const { socket, state } = dial(proxy);
    socket.write("a\nold\nlater\nsecret\nb");
    socket.write("\nwait\nbehind\n");
    await says(state, "a\nnew\nb\n");
    expect(received.text).toBe("a\nnew\nsecret\nb\n");
    proxy.release();
    await says(state, "a\nnew\nb\nlater\nwait\nbehind\n");
  });

  test("resets connections, by itself and each alone; what comes later is fine", async () => {
    const { proxy, received } = await echoBehindProxy();
    const [first, second] = [dial(proxy), dial(proxy)];
    first.socket.write("1");
    second.socket.write("2");
    await Promise.all([says(first.state, "1"), says(second.state, "2")]);
    proxy.connections()[0]?.reset();
    await vi.waitFor(() => expect(received.closed).toBe(1), PATIENCE);
    await vi.waitFor(() => expect(proxy.connections()).toHaveLength(1), PATIENCE);
    proxy.reset();
    await vi.waitFor(() =>
      expect([first.state.error, second.state.error]).toEqual(Array(2).fill("ECONNRESET")),
    );
    const third = dial(proxy);
    third.socket.write("3");
    await says(third.state, "3");
  });

  test("swallows: connections stay open without an answer, until it heals", async () => {
    const { proxy, received } = await echoBehindProxy();
    const open = dial(proxy);
    open.socket.write("1");
    await says(open.state, "1");
    proxy.swallow();
    const late = dial(proxy);
    await once(late.socket, "connect");
    open.socket.write("2");
    late.socket.write("3");
    proxy.heal();
    const fresh = dial(proxy);
    fresh.socket.write("4");
    await says(fresh.state, "4");
    expect(received.text).toBe("14");
    expect([open.state, late.state]).toEqual([
      { text: "1", error: "", closed: false },
      { text: "", error: "", closed: false },
    ]);
    // The process is not told that the other end has gone.
    open.socket.destroy();
    await vi.waitFor(() => expect(open.state.closed).toBe(true), PATIENCE);
    expect(received.closed).toBe(0);
  });

  test("swallows what is open and takes new connections", async () => {
    const { proxy, received } = await echoBehindProxy();
    const open = dial(proxy);
    open.socket.write("1");
    await says(open.state, "1");
    proxy.swallowOpen();
    open.socket.write("2");
    const fresh = dial(proxy);
    fresh.socket.write("3");
    await says(fresh.state, "3");
    expect(received.text).toBe("13");
  });

  test("refuses: cuts what is open and what comes, until it heals", async () => {
    const { proxy, received } = await echoBehindProxy();
    const open = dial(proxy);
    open.socket.write("1");
    await says(open.state, "1");
    proxy.refuse();
    await vi.waitFor(() => expect(open.state.error).toBe("ECONNRESET"), PATIENCE);
    const late = dial(proxy);
    await vi.waitFor(() => expect(late.state.closed).toBe(true), PATIENCE);
    expect(received.connections).toBe(1);
    proxy.heal();
    const fresh = dial(proxy);
    fresh.socket.write("2");
    await says(fresh.state, "2");
  });

  test("slows every byte down, in order", async () => {
    const { proxy } = await echoBehindProxy();
    proxy.setLatency(100);
    const { socket, state } = dial(proxy);
    const startedMs = performance.now();
    for (const letter of "abc") socket.write(letter);
    await says(state, "abc");
    // Both ways; a timer may fire a millisecond early.
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(198);
  });
});

describe("frames", () => {
  test("of NATS: lines, and messages with what belongs to them, whatever is in it", () => {
    const whole = [
      'INFO {"a":1}\r\n',
      "PUB a.b 5\r\nPING\r\r\n",
      "HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
      "MSG _INBOX.1 2 4\r\n\r\n\r\n\r\n",
      "+OK\r\n",
      "PING\r\n",
    ];
    const bytes = Buffer.from(`${whole.join("")}PUB a 10\r\nhal`);
    const { frames, rest } = natsFrames(bytes);
    expect(frames.map(String)).toEqual(whole);
    expect(String(rest)).toBe("PUB a 10\r\nhal");
    expect(natsFrames(Buffer.from("PIN")).frames).toEqual([]);
  });

  test("of CQL: by the length in the header", () => {
    const execute = Buffer.from([4, 0, 0, 7, 0x0a, 0, 0, 0, 2, 1, 2]);
    const timeout = cqlWriteTimeout(9);
    const { frames, rest } = cqlFrames(Buffer.concat([execute, timeout, Buffer.from([4, 0])]));
    expect(frames).toEqual([execute, timeout]);
    expect(rest).toEqual(Buffer.from([4, 0]));
    expect([cqlStream(execute), cqlStream(timeout)]).toEqual([7, 9]);
    expect([isCqlStatement(execute), isCqlStatement(timeout)]).toEqual([true, false]);
  });
});
