import { existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { cacheDirectory, removeOlderThan } from "./directories.ts";
import { messageOf } from "./wait.ts";

/**
 * The version that the deploy files run. From 2.15 on, JetStream's `sync_interval: always` is what it
 * promises.
 */
export const NATS_VERSION = "2.15.2";
/** Stands in for ScyllaDB: the same protocol and CQL. */
export const CASSANDRA_VERSION = "5.0.9";

// Both build tools may have to download everything first, over a slow line.
const BUILD_TIMEOUT_MS = 15 * 60 * 1000;
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** The nats-server program, built from its Go module if the cache has none. 28 s the first time. */
export async function natsServerProgram(): Promise<string> {
  const directory = await cached(
    `nats-server-${NATS_VERSION}-${process.platform}-${process.arch}`,
    async (into) => {
      await run("go", ["install", `github.com/nats-io/nats-server/v2@v${NATS_VERSION}`], {
        cwd: into,
        env: { GOBIN: into, CGO_ENABLED: "0" },
        timeoutMs: BUILD_TIMEOUT_MS,
      });
    },
  );
  return join(directory, "nats-server");
}

/** The directory of Cassandra's jars, fetched by Maven if the cache has none. 7 s the first time. */
export async function cassandraJars(): Promise<string> {
  const directory = await cached(`cassandra-${CASSANDRA_VERSION}`, async (into) => {
    writeFileSync(join(into, "pom.xml"), cassandraPom());
    await run("mvn", ["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"], {
      cwd: into,
      timeoutMs: BUILD_TIMEOUT_MS,
    });
  });
  return join(directory, "lib");
}

function cassandraPom(): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>impressions</groupId>
  <artifactId>test-servers</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>${CASSANDRA_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;
}

/**
 * A Java 17: Cassandra 5.0 runs on 11 and 17 and on nothing newer, and a machine's default is often newer.
 */
export async function java17(): Promise<string> {
  const homes = [
    process.env.JAVA_HOME,
    ...globSync(["/usr/lib/jvm/*17*", "/Library/Java/JavaVirtualMachines/*17*/Contents/Home"]),
  ];
  const candidates = [
    "java",
    ...homes.filter((home) => home !== undefined).map((home) => join(home, "bin", "java")),
  ];
  const found: string[] = [];
  for (const java of candidates) {
    try {
      const version = (await run(java, ["-version"])).split("\n")[0] ?? "";
      if (/version "17\b/.test(version)) return java;
      found.push(`${java} is ${version}`);
    } catch (error) {
      found.push(messageOf(error));
    }
  }
  throw new Error(`no Java 17: ${found.join("; ")}`);
}

const filling = new Map<string, Promise<string>>();

/**
 * The cache's directory of that name, filled first if it is not there. It is filled under another name and
 * then renamed, so that what is there is whole, and two processes that fill it at once both get the one that
 * came first.
 */
function cached(name: string, fill: (into: string) => Promise<void>): Promise<string> {
  const path = join(cacheDirectory(), name);
  if (existsSync(path)) return Promise.resolve(path);
  const running = filling.get(path) ?? fillCache(path, fill).finally(() => filling.delete(path));
  filling.set(path, running);
  return running;
}

async function fillCache(path: string, fill: (into: string) => Promise<void>): Promise<string> {
  const workshop = join(cacheDirectory(), "building");
  mkdirSync(workshop, { recursive: true });
  removeOlderThan(workshop, ABANDONED_MS);
  const into = mkdtempSync(join(workshop, "build-"));
  try {
    await fill(into);
    renameSync(into, path);
  } catch (error) {
    rmSync(into, { recursive: true, force: true });
    if (!existsSync(path)) throw error;
  }
  return path;
}
