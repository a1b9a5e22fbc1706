import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "cassandra-driver";
import { connect } from "nats";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { type CassandraServers, startCassandra } from "../../servers/cassandra.ts";
import { CASSANDRA_PORT_OFFSETS } from "../../servers/cassandra-config.ts";
import { cassandraClient, natsClient } from "../../servers/clients.ts";
import type {} from "../../servers/global-setup.ts";
import { type NatsServers, startNats } from "../../servers/nats.ts";
import { natsPortOffsets } from "../../servers/nats-config.ts";
import { freeBasePort } from "../../servers/ports.ts";
import type { ServerNode } from "../../servers/server-node.ts";
import { serversAreGiven } from "../../servers/shared-servers.ts";
import { waitUntil } from "../../servers/wait.ts";

// The assumptions of every test and chaos test on real servers.

const DEADLINE_MS = 60_000;

describe("the test run's shared servers", () => {
  it("answer at the addresses that are provided", async () => {
    const nats = await natsClient(inject("natsServers"));
    const jetStream = await nats.jetstreamManager();
    expect((await jetStream.getAccountInfo()).limits).toBeDefined();

    const cassandra = await cassandraClient({
      clientOptions: {
        contactPoints: inject("scyllaContactPoints"),
        localDataCenter: inject("scyllaLocalDc"),
      },
    });
    const { rows } = await cassandra.execute("SELECT release_version FROM system.local");
    expect(rows).toHaveLength(1);
  });
});

describe("without any way to run servers", () => {
  it("a start fails and says what to install", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    vi.stubEnv(
      "IMPRESSIONS_TEST_CACHE",
      fileURLToPath(new URL("../../../node_modules/.cache/none", import.meta.url)),
    );
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(startNats()).rejects.toThrow(
      /docker.*not installed[\s\S]*go.*not installed[\s\S]*install Go/,
    );
  });
});

// A run with given addresses starts no servers.
describe.skipIf(serversAreGiven())("one node", () => {
  let nats: NatsServers;
  let cassandra: CassandraServers;

  beforeAll(async () => {
    const config = { auth: true, tls: true };
    [nats, cassandra] = await Promise.all([
      startNats({ config: { syncAlways: true, user: "someone", password: "secret", tls: true } }),
      startCassandra({ config }),
    ]);
  });
  afterAll(() => Promise.all([nats?.stop(), cassandra?.stop()]));

  it("asks for the password and the TLS that were configured", async () => {
    await expect(connect({ servers: nats.servers, tls: { ...nats.connection.tls } })).rejects.toThrow(
      /Authorization/,
    );
    const { tls, ...withoutTls } = nats.connection;
    expect(tls).toBeDefined();
    await expect(connect({ servers: nats.servers, ...withoutTls })).rejects.toThrow();

    const { authProvider, ...withoutUser } = cassandra.clientOptions;
    expect(authProvider).toBeDefined();
    const client = new Client(withoutUser);
    await expect(client.connect()).rejects.toThrow();
    await client.shutdown();
  });

  it("NATS keeps a message over SIGKILL and restart, at the same address", async () => {
    const client = await natsClient(nats.servers, nats.connection);
    const manager = await client.jetstreamManager();
    await manager.streams.add({ name: "KEPT", subjects: ["kept"] });
    await client.jetstream().publish("kept", "before the kill");

    const node = firstNode(nats);
    const { pid, port } = node;
    await node.kill();
    expect(isAlive(pid)).toBe(false);
    await node.restart();
    expect(node.port).toBe(port);

    const again = await natsClient(nats.servers, nats.connection);
    const message = await (await again.jetstreamManager()).streams.getMessage("KEPT", {
      last_by_subj: "kept",
    });
    expect(message.string()).toBe("before the kill");
  });

  it("Cassandra keeps a row over SIGKILL and restart, at the same address", async () => {
    const client = await cassandraClient(cassandra);
    await client.execute(
      "CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}",
    );
    await client.execute("CREATE TABLE k.kept (id int PRIMARY KEY, text text)");
    await client.execute("INSERT INTO k.kept (id, text) VALUES (1, 'before the kill')");

    const node = firstNode(cassandra);
    const { pid, port } = node;
    await node.kill();
    expect(isAlive(pid)).toBe(false);
    await node.restart();
    expect(node.port).toBe(port);

    const again = await cassandraClient(cassandra);
    const { rows } = await again.execute("SELECT text FROM k.kept WHERE id = 1");
    expect(rows[0]?.text).toBe("before the kill");
  });

  it("a paused node answers nothing until it is resumed", async () => {
    const client = await natsClient(nats.servers, nats.connection);
    const node = firstNode(nats);
    await node.pause();
    const answer = client.flush().then(() => "answered");
    expect(await Promise.race([answer, setTimeout(500, "silent")])).toBe("silent");
    await node.resume();
    expect(await answer).toBe("answered");
  });
});

describe.skipIf(serversAreGiven())("a process that is killed with SIGKILL", () => {
  it("leaves no server, no supervisor and no data behind", async () => {
    const natsPort = await freeBasePort(["127.0.0.1"], natsPortOffsets(1));
    const cassandraPort = await freeBasePort(["127.0.0.1"], CASSANDRA_PORT_OFFSETS);
    const services = startServices(["--nats-port", `${natsPort}`, "--cassandra-port", `${cassandraPort}`]);
    const lines = await linesUntil(services, /running/);

    const servers = [...lines.matchAll(/^# pid (\d+) /gm)].map(([, pid]) => Number(pid));
    const directories = /^# data (\S+) and (\S+)$/m.exec(lines)?.slice(1) ?? [];
    const supervisors = servers.map(parentOf);
    expect(servers).toHaveLength(2);
    expect([...servers, ...supervisors].filter(isAlive)).toHaveLength(4);
    expect(directories.map(existsSync)).toEqual([true, true]);

    services.kill("SIGKILL");
    await waitUntil({
      what: "everything is gone",
      probe: async () => {
        const left = [...servers, ...supervisors].filter(isAlive).map(String);
        left.push(...directories.filter((directory) => existsSync(directory)));
        if (left.length > 0) throw new Error(`left: ${left.join(", ")}`);
      },
      deadlineMs: DEADLINE_MS,
    });
  });
});

function firstNode({ nodes }: { nodes: ServerNode[] }): ServerNode {
  return nodes[0] ?? expect.fail("no node");
}

function startServices(args: string[]): ChildProcess {
  const script = fileURLToPath(new URL("../../servers/services.ts", import.meta.url));
  const services = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void services.kill("SIGKILL"));
  return services;
}

/** The output of a process, once a line of it matches. */
async function linesUntil(child: ChildProcess, last: RegExp): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout ?? expect.fail("no output") })) {
    lines.push(line);
    if (last.test(line)) return lines.join("\n");
  }
  throw new Error(`ended before it printed ${last}:\n${lines.join("\n")}`);
}

function parentOf(pid: number): number {
  return Number(execFileSync("ps", ["-o", "ppid=", "-p", `${pid}`], { encoding: "utf8" }));
}

/** A zombie is dead: in a container without an init process it may never be reaped. */
function isAlive(pid: number): boolean {
  try {
    return !execFileSync("ps", ["-o", "stat=", "-p", `${pid}`], { encoding: "utf8" }).startsWith("Z");
  } catch {
    return false;
  }
}
