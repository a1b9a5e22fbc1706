import { afterEach, describe, expect, inject, test } from "vitest";
import { RecordImpressionsDocument, UnseenPostsDocument } from "../../../src/generated/operations.ts";
import type { ClusterInstallation } from "../../kit/cluster-installation.ts";
import { query } from "../../kit/graphql-request.ts";
import { runCommand } from "../../kit/service-process.ts";
import type {} from "../../servers/global-setup.ts";
import { createSharedInstallation } from "../../support/shared-installation.ts";

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

function installationHere(): ClusterInstallation {
  const installation = createSharedInstallation();
  closers.push(installation.dispose);
  return installation;
}

describe("migrate", () => {
  test("two at once on an empty database: both succeed, and there is one schema", async () => {
    const installation = installationHere();
    const both = await Promise.all([
      installation.migrate("--create-keyspace", "1"),
      installation.migrate("--create-keyspace", "1"),
    ]);
    expect(both.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
      { code: 0, stderr: "" },
      { code: 0, stderr: "" },
    ]);
    const { code, stdout } = await installation.migrate();
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Keyspace ${installation.keyspace} is up to date: nothing to do.\n`,
    });
    const { url } = await installation.start("serve");
    await query(url, RecordImpressionsDocument, {
      input: { userId: "u", impressions: [{ postId: "p", viewedAt: new Date().toISOString() }] },
    });
    await expect
      .poll(() => query(url, UnseenPostsDocument, { userId: "u", candidates: ["p", "q"] }), {
        timeout: 60_000,
      })
      .toEqual({ unseenPosts: ["q"] });
  });

  test("a dry run says what would be done and does nothing", async () => {
    const installation = installationHere();
    const dry = await installation.migrate("--create-keyspace", "1", "--dry-run");
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/^would create keyspace: t.*\nwould apply: 0001_/);
    expect((await installation.migrate("--dry-run")).stderr).toMatch(/has no keyspace/);
  });
});

describe("a configuration that cannot work ends the start with one line", () => {
  const failure = async (environment: Readonly<Record<string, string>>, ...parameters: string[]) => {
    const { code, stderr } = await runCommand(
      { PORT: "0", LOG_LEVEL: "silent", ...environment },
      ...parameters,
    );
    expect(code).toBe(1);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    return stderr;
  };

  test("no keyspace", async () => {
    const { environment } = installationHere();
    expect(await failure(environment, "serve")).toMatch(/has no keyspace .*run: impressions migrate/);
  });

  test("a keyspace that was never migrated", async () => {
    const installation = installationHere();
    await installation.client().execute(
      `CREATE KEYSPACE ${installation.keyspace}
         WITH replication = {'class': 'NetworkTopologyStrategy', '${inject("scyllaLocalDc")}': 1}`,
    );
    expect(await failure(installation.environment, "api")).toMatch(/run: impressions migrate/);
  });

  test("another data center", async () => {
    const installation = installationHere();
    await installation.migrate("--create-keyspace", "1");
    const environment = { ...installation.environment, SCYLLA_LOCAL_DC: "elsewhere" };
    expect(await failure(environment, "serve")).toMatch(
      /has no data center "elsewhere", only \S+: check SCYLLA_LOCAL_DC$/m,
    );
  });

  test("a stream of that name with other settings", async () => {
    const installation = installationHere();
    await installation.migrate("--create-keyspace", "1");
    const first = await installation.start("serve");
    await first.kill("SIGTERM");
    const environment = { ...installation.environment, QUEUE_REPLICAS: "3" };
    expect(await failure(environment, "serve")).toMatch(/QUEUE_REPLICAS|replicas/);
  });
});
