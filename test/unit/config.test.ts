import { describe, expect, test } from "vitest";
import { ConfigError, describeConfig, readConfig } from "../../src/config.ts";

describe("configuration", () => {
  test("nothing set gives the documented defaults", () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      ENGINE: "embedded",
      HOST: "127.0.0.1",
      PORT: 4000,
      DATA_DIR: "./data",
      WORKERS: 2,
      WORKER_PULL: 500,
      WORKER_CONCURRENCY_MAX: 256,
      QUEUE_MAX_BYTES: 10 * 1024 ** 3,
      RETENTION_DAYS: 90,
      retentionMs: 90 * 86_400_000,
      PLAYGROUND: true,
      INTROSPECTION: true,
    });
  });

  test("sizes take units, blanks count as unset, flags take on and off", () => {
    const config = readConfig({ QUEUE_MAX_BYTES: "512MiB", PORT: " ", PLAYGROUND: "off" });
    expect(config).toMatchObject({ QUEUE_MAX_BYTES: 512 * 1024 ** 2, PORT: 4000, PLAYGROUND: false });
  });

  test.each([
    [{ PORT: "http" }, "PORT=http: must be a whole number from 0 to 65535"],
    [{ PORT: "70000" }, "PORT=70000: must be a whole number from 0 to 65535"],
    [{ WORKERS: "0" }, "WORKERS=0: must be a whole number from 1 to 64"],
    [{ QUEUE_MAX_BYTES: "10 gigs" }, "QUEUE_MAX_BYTES=10 gigs: must be a size like 512MiB or 10GiB"],
    [{ ENGINE: "mysql" }, "ENGINE=mysql: must be embedded or cluster"],
    [{ PLAYGROUND: "maybe" }, "PLAYGROUND=maybe: must be on or off"],
  ])("%o is refused with what is expected", (environment, message) => {
    expect(() => readConfig(environment)).toThrow(new ConfigError(message));
  });

  test("addresses are host:port, with commas between them", () => {
    expect(readConfig({ NATS_SERVERS: "a:1, [::1]:2" }).NATS_SERVERS).toEqual(["a:1", "[::1]:2"]);
    expect(() => readConfig({ SCYLLA_CONTACT_POINTS: "db1" })).toThrow(
      /^SCYLLA_CONTACT_POINTS=db1: must be host:port/,
    );
  });

  test("every wrong setting is named", () => {
    expect(() => readConfig({ PORT: "x", WORKERS: "y" })).toThrow(/^PORT=x: .*\nWORKERS=y: /);
  });

  test("without access control it listens on loopback only, unless told", () => {
    expect(() => readConfig({ HOST: "0.0.0.0" })).toThrow(/AUTH=off/);
    expect(readConfig({ HOST: "0.0.0.0", ALLOW_INSECURE: "1" }).HOST).toBe("0.0.0.0");
    for (const HOST of ["127.0.0.9", "::1", "localhost"]) expect(readConfig({ HOST }).HOST).toBe(HOST);
  });

  test("what is printed can be set again, and secrets are not printed", () => {
    const lines = describeConfig(readConfig({ IMPRESSIONS_TOKEN: "hush", PORT: "4001", PLAYGROUND: "off" }));
    expect(lines).toContain("PORT=4001");
    expect(lines).toContain("PLAYGROUND=off");
    expect(lines.join("\n")).not.toContain("hush");
    const environment = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s)));
    expect(describeConfig(readConfig(environment))).toEqual(lines);
  });
});
