import { createServer } from "node:net";

// Below the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux, 49152
// and up on macOS): a killed node gets its port back when it is restarted, because no client's connection
// sits on it meanwhile.
const FIRST_PORT = 12_000;
const LAST_PORT = 28_000;
const TRIES_MAX = 200;

/**
 * Bases handed out by this process: two clusters started in parallel probe before either has bound anything.
 */
const handedOut = new Set<number>();

/**
 * A port P such that P + each of `offsets` is free on each of `hosts`. A server's ports are all derived from
 * one base, so that giving that one port is enough to put a server where a person wants it.
 *
 * Chosen at random, so two processes that choose at the same moment hardly ever meet; a port is not reserved,
 * and the server that loses such a race fails to start and says so.
 */
export async function freeBasePort(hosts: readonly string[], offsets: readonly number[]): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    // Multiples of ten: a base's neighbours belong to it alone.
    const base = 10 * Math.floor((FIRST_PORT + Math.random() * (LAST_PORT - FIRST_PORT)) / 10);
    if (handedOut.has(base)) continue;
    if ((await takenPort(hosts, base, offsets)) !== undefined) continue;
    handedOut.add(base);
    return base;
  }
  throw new Error(`no free ports on ${hosts.join(", ")} in ${TRIES_MAX} tries`);
}

/** The first `host:port` of those that is in use, or undefined if all are free. */
export async function takenPort(
  hosts: readonly string[],
  base: number,
  offsets: readonly number[],
): Promise<string | undefined> {
  for (const host of hosts) {
    for (const offset of offsets) {
      if (!(await isFree(host, base + offset))) return `${host}:${base + offset}`;
    }
  }
  return undefined;
}

/**
 * @throws if the host itself is not an address of this machine: macOS has no 127.0.0.2 until it is told to.
 */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRNOTAVAIL") return resolve(false);
      reject(
        new Error(`${host} is not an address of this machine (on macOS: sudo ifconfig lo0 alias ${host})`, {
          cause: error,
        }),
      );
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
