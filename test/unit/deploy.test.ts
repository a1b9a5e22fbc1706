import { readFileSync } from "node:fs";
import { validate } from "dockerfile-utils";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import packageJson from "../../package.json" with { type: "json" };
import { describeConfig, readConfig } from "../../src/config.ts";
import { NATS_VERSION } from "../servers/toolchain.ts";

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");

interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly networks?: readonly string[];
  readonly stop_grace_period?: string;
}

const { services } = parse(read("deploy/compose.yaml"), { merge: true }) as {
  services: Readonly<Record<string, Service>>;
};
const ours = Object.entries(services).filter(([, { image }]) => image === "impressions");
const environmentOf = (name: string) => services[name]?.environment ?? {};
const dockerfile = read("deploy/Dockerfile");

describe("deploy/compose.yaml", () => {
  test("runs migrate, api and worker", () => {
    expect(ours.map(([name, { command }]) => [name, command[0]])).toEqual([
      ["migrate", "migrate"],
      ["api", "api"],
      ["worker", "worker"],
    ]);
  });

  test.each(ours)("%s sets nothing but settings that exist, and can start with them", (_name, service) => {
    const known = describeConfig(readConfig({})).map((line) => line.split("=")[0]);
    expect(known).toEqual(expect.arrayContaining(Object.keys(service.environment ?? {})));
    expect(readConfig(service.environment ?? {}).ENGINE).toBe("cluster");
  });

  test("every process gives the streams and tables the same limits", () => {
    const { AUTH, HOST, ALLOW_INSECURE, ...shared } = environmentOf("api");
    expect({ AUTH, HOST, ALLOW_INSECURE }).toEqual({ AUTH: "off", HOST: "0.0.0.0", ALLOW_INSECURE: "1" });
    expect(environmentOf("worker")).toEqual(shared);
    expect(environmentOf("migrate")).toEqual(shared);
  });

  test("without authentication nothing is published beyond this machine", () => {
    const published = Object.entries(services).flatMap(([name, { ports = [] }]) =>
      ports.map((port) => [name, port]),
    );
    expect(published).toEqual([["api", "127.0.0.1:4000:4000"]]);
    for (const name of ["scylladb", "nats", "worker"]) expect(services[name]?.networks).toEqual(["backend"]);
  });

  test("stopping is given longer than the service takes", () => {
    const { SHUTDOWN_TIMEOUT_MS } = readConfig(environmentOf("worker"));
    for (const [, { stop_grace_period: period = "10s" }] of ours)
      expect(Number.parseInt(period, 10) * 1_000).toBeGreaterThan(SHUTDOWN_TIMEOUT_MS);
  });

  test("NATS is the version that the tests run, syncs every message, and has room for both streams", () => {
    expect(services.nats?.image).toBe(`nats:${NATS_VERSION}-alpine`);
    const conf = read("deploy/nats.conf");
    expect(conf).toMatch(/^ {2}sync_interval: always$/m);
    const roomBytes = Number(/^ {2}max_file_store: (\d+)GB$/m.exec(conf)?.[1]) * 1024 ** 3;
    const { QUEUE_MAX_BYTES, DEAD_LETTER_MAX_BYTES } = readConfig(environmentOf("worker"));
    expect(QUEUE_MAX_BYTES + DEAD_LETTER_MAX_BYTES).toBeLessThanOrEqual(roomBytes);
  });
});

describe("deploy/Dockerfile", () => {
  test("is one, by the checks of Docker's language server", () => {
    expect(validate(dockerfile)).toEqual([]);
    expect(validate(dockerfile.replace("WORKDIR /app", "WORKDIRS /app"))).not.toEqual([]);
  });

  test("has the Node that the tests run on", () => {
    const [, version] = /^ARG NODE_IMAGE=node:([\d.]+)-/m.exec(dockerfile) ?? [];
    expect(version).toBe(packageJson.devDependencies.node);
  });

  test("copies only what .dockerignore lets through", () => {
    const sent = read(".dockerignore")
      .split("\n")
      .flatMap((line) => (line.startsWith("!") ? [line.slice(1)] : []));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = ""]) =>
      sources.split(" ").map((source) => source.replace(/\/$/, "")),
    );
    expect(copied).not.toEqual([]);
    expect(sent.toSorted()).toEqual([...new Set(copied)].toSorted());
  });

  test("has everything that the package ships", () => {
    for (const path of packageJson.files) expect(dockerfile).toMatch(new RegExp(`^COPY .*${path}/`, "m"));
  });

  test("does not run as root", () => {
    expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  });
});
