import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../../src/domain/time.ts";
import { EngineStartError, StoreUnavailableError } from "../../../src/ports/errors.ts";
import { openScyllaStore, type ScyllaStoreOptions } from "../../../src/scylla/open.ts";
import { migrateScylla } from "../../../src/scylla/schema/migrate.ts";
import type { ScyllaSettings } from "../../../src/scylla/settings.ts";
import { EVERYTHING, recordViews, viewOf } from "../../kit/views.ts";
import { type CassandraServers, startCassandra } from "../../servers/cassandra.ts";
import { createCertificates } from "../../servers/certificates.ts";
import { serversAreGiven } from "../../servers/shared-servers.ts";
import { silentLog, storeOptions } from "../../support/scylla.ts";

/** Each line that an operator meets is one line. */
async function startError(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => new Error("it opened"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineStartError);
  const { message } = error as EngineStartError;
  expect(message).not.toContain("\n");
  return message;
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "impressions-start-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

const migrate = (settings: ScyllaSettings, createKeyspace?: { readonly replicationFactor: number }) =>
  migrateScylla({
    settings,
    retentionDays: 90,
    clock: systemClock,
    logger: silentLog,
    ...(createKeyspace && { createKeyspace }),
  });

// A run with given addresses starts no servers; the servers here are stopped and started.
describe.skipIf(serversAreGiven())("a database with a login and TLS", () => {
  let cassandra: CassandraServers;
  let settings: ScyllaSettings;

  beforeAll(async () => {
    cassandra = await startCassandra({ config: { auth: true, tls: true } });
    settings = {
      contactPoints: cassandra.contactPoints,
      localDataCenter: cassandra.localDataCenter,
      keyspace: "start_test",
      user: "cassandra",
      password: "cassandra",
      tlsCa: cassandra.caFile,
      requestTimeoutMs: 5_000,
    };
    await migrate({ ...settings, requestTimeoutMs: 60_000 }, { replicationFactor: 1 });
  });
  afterAll(() => cassandra?.stop());

  const open = (given: Partial<ScyllaStoreOptions> = {}) =>
    openScyllaStore(storeOptions(settings.keyspace, { ...settings, ...given }));

  it("opens with the right ones", async () => {
    const { store } = await open();
    onTestFinished(() => store.close());
    expect(await store.health()).toEqual({ healthy: true });
  });

  it("says what is wrong with a login", async () => {
    expect(await startError(open({ password: "wrong" }))).toMatch(
      /refuses the login of "cassandra": check SCYLLA_USER and SCYLLA_PASSWORD$/,
    );
    expect(await startError(open({ user: undefined, password: undefined }))).toMatch(
      /asks for a login: set SCYLLA_USER and SCYLLA_PASSWORD$/,
    );
    expect(await startError(open({ password: undefined }))).toMatch(
      /SCYLLA_USER and SCYLLA_PASSWORD belong together/,
    );
    expect(await startError(migrate({ ...settings, password: "wrong" }))).toMatch(/refuses the login/);
  });

  it("says what is wrong with an authority", async () => {
    const directory = temporaryDirectory();
    const { caFile } = await createCertificates(directory);
    expect(await startError(open({ tlsCa: caFile }))).toMatch(
      /no trusted TLS connection .*check SCYLLA_TLS_CA=/,
    );
    const garbage = join(directory, "garbage.pem");
    writeFileSync(garbage, "no certificate");
    expect(await startError(open({ tlsCa: garbage }))).toMatch(/check SCYLLA_TLS_CA=/);
    expect(await startError(open({ tlsCa: join(directory, "missing.pem") }))).toMatch(
      /SCYLLA_TLS_CA=.*cannot be read/,
    );
  });

  it("says what is wrong with a data center and a keyspace", async () => {
    expect(await startError(open({ localDataCenter: "elsewhere" }))).toMatch(
      /no data center "elsewhere".*check SCYLLA_LOCAL_DC$/,
    );
    expect(await startError(open({ keyspace: "nowhere" }))).toMatch(
      /no keyspace "nowhere".*run: impressions migrate$/,
    );
    expect(await startError(open({ keyspace: "No-Name" }))).toMatch(/^SCYLLA_KEYSPACE=No-Name: must be/);
    expect(await startError(open({ inFlightMax: 4_096 }))).toMatch(/1 to 1536/);
  });
});

describe.skipIf(serversAreGiven())("a database that is down", () => {
  let cassandra: CassandraServers;
  let settings: ScyllaSettings;

  const open = (given: Partial<ScyllaStoreOptions> = {}) =>
    openScyllaStore(storeOptions(settings.keyspace, { ...settings, ...given }));
  const node = () => cassandra.nodes[0] ?? expect.fail("no node");
  const view = viewOf({ userId: "u", postId: "p", viewedAtMs: Date.now() - 1_000 });
  const request = { ownerId: "u", window: EVERYTHING, after: null, limit: 10 };
  const untilHealthy = { timeout: 60_000, interval: 100 };

  beforeAll(async () => {
    cassandra = await startCassandra();
    settings = {
      contactPoints: cassandra.contactPoints,
      localDataCenter: cassandra.localDataCenter,
      keyspace: "down_test",
      requestTimeoutMs: 2_000,
    };
    await migrate({ ...settings, requestTimeoutMs: 60_000 }, { replicationFactor: 1 });
  });
  afterAll(() => cassandra?.stop());

  it("lets a store open that need not wait, which works as soon as the database is there", async () => {
    await node().kill();
    const { store } = await open({ waitForConnection: false });
    onTestFinished(() => store.close());
    const health = await store.health();
    expect(health).toMatchObject({
      healthy: false,
      reason: expect.stringMatching(/cannot reach .*SCYLLA_CONTACT_POINTS/),
    });
    await expect(store.seenPosts(request)).rejects.toThrow(StoreUnavailableError);
    await expect(store.writeViewers("p", [view])).rejects.toThrow(StoreUnavailableError);

    await node().restart();
    await vi.waitFor(async () => expect(await store.health()).toEqual({ healthy: true }), untilHealthy);
    await recordViews(store, [view]);
    expect((await store.seenPosts(request)).rows).toHaveLength(1);
  });

  it("is waited for where that is asked, and the log says what for", async () => {
    await node().kill();
    const warnings: string[] = [];
    const logger = { ...silentLog, warn: (_fields: object, message: string) => void warnings.push(message) };
    const opening = open({ waitForConnection: true, logger });
    await vi.waitFor(
      () => expect(warnings).toContainEqual(expect.stringMatching(/^waiting for the database: cannot reach/)),
      {
        timeout: 30_000,
      },
    );
    await node().restart();
    const { store } = await opening;
    onTestFinished(() => store.close());
    expect(await store.health()).toEqual({ healthy: true });
  });

  it("ends the waiting when it is told to, and closes a store that never connected", async () => {
    await node().kill();
    onTestFinished(() => node().restart());
    const stopping = new AbortController();
    const opening = open({ waitForConnection: true, signal: stopping.signal });
    stopping.abort();
    expect(await startError(opening)).toMatch(/cannot reach/);
    expect(await startError(migrate(settings))).toMatch(/cannot reach/);

    const { store } = await open({ waitForConnection: false });
    await store.close();
    await expect(store.seenPosts(request)).rejects.toThrow(StoreUnavailableError);
  });

  it("takes nothing from an open store but time: it goes on after the outage", async () => {
    const { store } = await open();
    onTestFinished(() => store.close());
    await recordViews(store, [view]);
    await node().kill();
    await expect(store.seenPosts(request)).rejects.toThrow(StoreUnavailableError);
    await expect(recordViews(store, [view])).rejects.toThrow(StoreUnavailableError);
    expect((await store.health()).healthy).toBe(false);
    await node().restart();
    await vi.waitFor(async () => expect(await store.health()).toEqual({ healthy: true }), untilHealthy);
    expect((await store.seenPosts(request)).rows).toHaveLength(1);
  });

  it("does not lose a write to a paused node: the call fails in its time, and can be repeated", async () => {
    const { store } = await open();
    onTestFinished(() => store.close());
    await node().pause();
    try {
      await expect(recordViews(store, [view])).rejects.toThrow(StoreUnavailableError);
    } finally {
      await node().resume();
    }
    await vi.waitFor(() => recordViews(store, [view]), untilHealthy);
  });
});
