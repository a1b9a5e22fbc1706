import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "cassandra-driver";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RecordImpressionsDocument, UnseenPostsDocument } from "../../../src/generated/operations.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../../kit/directory.ts";
import { query } from "../../kit/graphql-request.ts";
import { runCommand, startServiceProcess } from "../../kit/service-process.ts";
import { type CassandraServers, startCassandra } from "../../servers/cassandra.ts";
import { createCertificates } from "../../servers/certificates.ts";
import { type NatsServers, startNats } from "../../servers/nats.ts";
import { serversAreGiven } from "../../servers/shared-servers.ts";
import { startTcpProxy } from "../../servers/tcp-proxy.ts";
import { runDoctor } from "../../support/doctor.ts";

const PASSWORD = "s3cret-of-the-tests";
const WRONG_PASSWORD = "wr0ng-of-the-tests";
/** Of this machine, and in no certificate. */
const OTHER_ADDRESS = "127.0.0.9";

type Environment = Readonly<Record<string, string>>;

// A run with given addresses starts no servers.
describe.skipIf(serversAreGiven())("the service on servers with TLS and passwords", () => {
  let nats: NatsServers;
  let cassandra: CassandraServers;
  let directory: TemporaryDirectory;
  let otherCa: string;
  let environment: Environment;

  beforeAll(async () => {
    directory = createTemporaryDirectory();
    [nats, cassandra, { caFile: otherCa }] = await Promise.all([
      startNats({ config: { user: "impressions", password: PASSWORD, tls: true } }),
      startCassandra({ config: { auth: true, tls: true } }),
      createCertificates(directory.path),
    ]);
    environment = {
      ENGINE: "cluster",
      NATS_SERVERS: nats.servers.join(","),
      NATS_USER: "impressions",
      NATS_PASSWORD: PASSWORD,
      NATS_TLS_CA: nats.caFile ?? "",
      SCYLLA_CONTACT_POINTS: cassandra.contactPoints.join(","),
      SCYLLA_KEYSPACE: "tls",
      SCYLLA_USER: "impressions",
      SCYLLA_PASSWORD: PASSWORD,
      SCYLLA_TLS_CA: cassandra.caFile ?? "",
      QUEUE_MAX_BYTES: "256MiB",
      DEAD_LETTER_MAX_BYTES: "64MiB",
      PORT: "0",
    };
    await prepareDatabase();
  });

  afterAll(async () => {
    await Promise.all([nats?.stop(), cassandra?.stop()]);
    directory.remove();
  });

  /** Roles with what docs/operations.md grants them, and one that is granted nothing. */
  async function prepareDatabase(): Promise<void> {
    const administrator = new Client(cassandra.clientOptions);
    await administrator.execute(
      `CREATE KEYSPACE tls WITH replication = {'class': 'NetworkTopologyStrategy', '${cassandra.localDataCenter}': 1}`,
    );
    for (const role of ["impressions", "migrator", "nobody"])
      await administrator.execute(`CREATE ROLE ${role} WITH PASSWORD = '${PASSWORD}' AND LOGIN = true`);
    for (const permission of ["SELECT", "MODIFY", "CREATE", "ALTER"])
      await administrator.execute(`GRANT ${permission} ON KEYSPACE tls TO migrator`);
    for (const permission of ["SELECT", "MODIFY"])
      await administrator.execute(`GRANT ${permission} ON KEYSPACE tls TO impressions`);
    await administrator.shutdown();
    const migrated = await runCommand({ ...environment, SCYLLA_USER: "migrator" }, "migrate");
    expect(migrated).toMatchObject({ code: 0, stderr: "" });
  }

  /** The line with which a start fails; it holds no password. */
  async function refusal(changes: Environment): Promise<string> {
    const { code, stderr } = await runCommand({ ...environment, LOG_LEVEL: "silent", ...changes }, "serve");
    expect(code).toBe(1);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).not.toContain(PASSWORD);
    expect(stderr).not.toContain(WRONG_PASSWORD);
    return stderr.trim();
  }

  test("records and reads with the right ones, and the least permissions", async () => {
    const service = await startServiceProcess({ ...environment, SCYLLA_TLS_SERVER_NAME: "localhost" });
    onTestFinished(async () => void (await service.kill("SIGKILL")));
    await query(service.url, RecordImpressionsDocument, {
      input: { userId: "u", impressions: [{ postId: "p", viewedAt: new Date().toISOString() }] },
    });
    await expect
      .poll(() => query(service.url, UnseenPostsDocument, { userId: "u", candidates: ["p", "q"] }), {
        timeout: 60_000,
      })
      .toEqual({ unseenPosts: ["q"] });
    expect(await service.kill("SIGTERM")).toMatchObject({ code: 0 });
    expect(service.log.join("\n")).not.toContain(PASSWORD);
  });

  test("refuses a wrong password, and says which", async () => {
    expect(await refusal({ NATS_PASSWORD: WRONG_PASSWORD })).toMatch(
      /NATS at .* refuses the credentials .*: correct NATS_USER and NATS_PASSWORD/,
    );
    expect(await refusal({ SCYLLA_PASSWORD: WRONG_PASSWORD })).toMatch(
      /refuses the login of "impressions": check SCYLLA_USER and SCYLLA_PASSWORD$/,
    );
  });

  test("refuses a server whose certificate another authority signed", async () => {
    expect(await refusal({ NATS_TLS_CA: otherCa })).toMatch(/not trusted .*: set NATS_TLS_CA/);
    expect(await refusal({ NATS_TLS_CA: "" })).toMatch(/not trusted .*: set NATS_TLS_CA/);
    expect(await refusal({ SCYLLA_TLS_CA: otherCa })).toMatch(/no trusted TLS .*: check SCYLLA_TLS_CA=/);
  });

  test("refuses an authority that is no certificate", async () => {
    const garbage = join(directory.path, "garbage.pem");
    writeFileSync(garbage, "no certificate");
    expect(await refusal({ NATS_TLS_CA: garbage })).toMatch(/NATS_TLS_CA/);
    expect(await refusal({ SCYLLA_TLS_CA: garbage })).toMatch(/SCYLLA_TLS_CA/);
  });

  test("refuses a server whose certificate is for other names", async () => {
    const proxies = await Promise.all(
      [nats.servers[0], cassandra.contactPoints[0]].map((target = "") =>
        startTcpProxy(target, undefined, OTHER_ADDRESS),
      ),
    );
    onTestFinished(async () => void (await Promise.all(proxies.map((proxy) => proxy.close()))));
    const [natsAt = "", cassandraAt = ""] = proxies.map(({ address }) => address);
    expect(await refusal({ NATS_SERVERS: natsAt })).toMatch(
      /certificate for other names .*127\.0\.0\.9.*: correct NATS_SERVERS/,
    );
    expect(await refusal({ SCYLLA_CONTACT_POINTS: cassandraAt })).toMatch(
      /for other names .*127\.0\.0\.9.*: set SCYLLA_TLS_SERVER_NAME/,
    );
    expect(await refusal({ SCYLLA_TLS_SERVER_NAME: "db.example.org" })).toMatch(
      /for other names .*db\.example\.org.*: set SCYLLA_TLS_SERVER_NAME/,
    );
  });

  test("uses TLS or refuses: half of it is no setting", async () => {
    expect(await refusal({ SCYLLA_TLS_CA: "", SCYLLA_TLS_SERVER_NAME: "localhost" })).toMatch(
      /SCYLLA_TLS_SERVER_NAME is set and SCYLLA_TLS_CA is not/,
    );
  });

  test("the doctor says the same, and what a role may not do", async () => {
    const healthy = await runDoctor(environment);
    expect(healthy).toMatchObject({
      code: 0,
      findings: { "store access": "ok: reads and writes are allowed" },
    });
    const wrong = await runDoctor({
      ...environment,
      NATS_PASSWORD: WRONG_PASSWORD,
      SCYLLA_PASSWORD: WRONG_PASSWORD,
    });
    expect(wrong).toMatchObject({
      code: 1,
      findings: {
        queue: expect.stringMatching(
          /^failed: .*refuses the credentials .*: correct NATS_USER and NATS_PASSWORD/,
        ),
        store: expect.stringMatching(/^failed: .*refuses the login of "impressions": check SCYLLA_USER/),
      },
    });
    expect(JSON.stringify(wrong)).not.toContain(WRONG_PASSWORD);
    const nobody = await runDoctor({ ...environment, SCYLLA_USER: "nobody" });
    expect(nobody).toMatchObject({
      code: 1,
      findings: {
        "store access": expect.stringMatching(
          /^failed: .*nobody .*: GRANT SELECT and MODIFY ON KEYSPACE tls TO nobody$/,
        ),
      },
    });
  });
});
