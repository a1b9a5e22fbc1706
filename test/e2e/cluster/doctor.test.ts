import { connect } from "nats";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import type { ClusterInstallation } from "../../kit/cluster-installation.ts";
import type {} from "../../servers/global-setup.ts";
import { runDoctor, troubleIn } from "../../support/doctor.ts";
import { createSharedInstallation } from "../../support/shared-installation.ts";

/** Nothing listens there. */
const NOBODY = "127.0.0.1:1";

describe("impressions doctor on the cluster engine", () => {
  let installation: ClusterInstallation;

  beforeEach(() => {
    installation = createSharedInstallation();
  });
  afterEach(() => installation.dispose());

  const doctor = (changes: Readonly<Record<string, string>> = {}) =>
    runDoctor({ ...installation.environment, ...changes });

  test("before the first start: says what to do next", async () => {
    expect(await doctor()).toMatchObject({
      code: 1,
      findings: {
        queue: expect.stringMatching(/^ok: NATS 2\./),
        "queue streams": "warning: none yet: the first start makes them",
        store: expect.stringMatching(/^ok: 1 node of Cassandra /),
        "store clock": expect.stringMatching(/^ok: /),
        "store keyspace": expect.stringMatching(/^failed: there is no keyspace .*run: impressions migrate$/),
      },
    });
    await installation.client().execute(
      `CREATE KEYSPACE ${installation.keyspace}
         WITH replication = {'class': 'NetworkTopologyStrategy', '${inject("scyllaLocalDc")}': 1}`,
    );
    expect((await doctor()).findings["store schema"]).toMatch(
      /^failed: 0001_views, .* is not applied: run: impressions migrate$/,
    );
  });

  test("is content with what runs, and finds what was broken since", async () => {
    await installation.migrate("--create-keyspace", "1");
    const service = await installation.start("serve");
    const healthy = await doctor();
    expect(troubleIn(healthy)).toEqual({});
    expect(healthy.code).toBe(0);
    expect(Object.keys(healthy.findings)).toEqual([
      ...[
        "configuration",
        "queue",
        "queue streams",
        "queue consumer",
        "queue replicas",
        "queue space",
        "dead letters",
        "queue clock",
      ],
      ...["store", "store keyspace", "store clock", "store schema", "store access", "store purge"],
    ]);

    // Settings that the next start would bring to the servers, and some that they cannot have.
    const others = await doctor({ QUEUE_MAX_BYTES: "128MiB", QUEUE_REPLICAS: "3", RETENTION_DAYS: "30" });
    expect(others.code).toBe(1);
    expect(troubleIn(others)).toEqual({
      "queue streams": expect.stringMatching(/^warning: .*max_bytes 268435456 -> 134217728.*same settings$/),
      "queue replicas": expect.stringMatching(/^failed: QUEUE_REPLICAS=3 and this server is no cluster/),
      "store schema": expect.stringMatching(
        /^warning: RETENTION_DAYS has changed .*: run: impressions migrate$/,
      ),
    });

    const client = installation.client();
    const history = `${installation.keyspace}.schema_migrations`;
    await client.execute(
      `INSERT INTO ${history} (scope, version, name, checksum, settings)
       VALUES ('impressions', 9999, '9999_future', '', '')`,
    );
    expect(troubleIn(await doctor())).toEqual({
      "store schema": expect.stringMatching(/^failed: .*prepared by a newer version .*9999_future/),
    });
    await client.execute(`DELETE FROM ${history} WHERE scope = 'impressions' AND version IN (3, 9999)`);
    expect(troubleIn(await doctor())).toEqual({
      "store schema": "failed: 0003_retention is not applied: run: impressions migrate",
    });

    await service.kill("SIGTERM");
    const nats = await connect({ servers: inject("natsServers") });
    const { streams } = await nats.jetstreamManager();
    const stream = installation.keyspace.toUpperCase();
    await streams.update(stream, { max_msg_size: 1_000 });
    expect((await doctor()).findings["queue streams"]).toMatch(
      /^failed: the NATS stream .* has max_msg_size=1000, and none is needed: correct it \(nats stream edit/,
    );
    await streams.delete(stream);
    expect((await doctor()).findings["queue streams"]).toBe(
      `failed: ${stream} is missing: restore it from a backup, or restart a process, which makes it anew and empty`,
    );
    await nats.close();
  });

  test("says that servers cannot be reached, each by itself", async () => {
    await installation.migrate("--create-keyspace", "1");
    const noQueue = await doctor({ NATS_SERVERS: NOBODY });
    expect(noQueue.code).toBe(1);
    expect(troubleIn(noQueue)).toEqual({
      queue: expect.stringMatching(
        /^failed: no NATS server answers at 127\.0\.0\.1:1 .*: start one, or correct NATS_SERVERS$/,
      ),
    });
    expect(noQueue.findings["store access"]).toMatch(/^ok/);
    const noStore = await doctor({ SCYLLA_CONTACT_POINTS: NOBODY });
    expect(noStore.code).toBe(1);
    expect(noStore.findings.store).toMatch(
      /^failed: cannot reach the database at 127\.0\.0\.1:1 .*SCYLLA_CONTACT_POINTS/,
    );
    expect(noStore.findings.queue).toMatch(/^ok/);
    const elsewhere = await doctor({ SCYLLA_LOCAL_DC: "elsewhere" });
    expect(elsewhere.findings.store).toMatch(
      /^failed: .*no data center "elsewhere".*: check SCYLLA_LOCAL_DC$/,
    );
  });
});
