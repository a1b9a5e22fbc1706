import { expect, inject, onTestFinished, test, vi } from "vitest";
import {
  EraseUserDocument,
  ErasureDocument,
  PipelineDocument,
  RecordImpressionsDocument,
  SeenPostsDocument,
  UnseenPostsDocument,
} from "../../../src/generated/operations.ts";
import { createClusterInstallation } from "../../kit/cluster-installation.ts";
import { query } from "../../kit/graphql-request.ts";
import type {} from "../../servers/global-setup.ts";
import { startScyllaProxy } from "../../servers/scylla-proxy.ts";
import { runDoctor, troubleIn } from "../../support/doctor.ts";

// The whole service on a database that answers as ScyllaDB's source says: see test/support/scylla-proxy for what that shows.
test("migrates, serves, is looked at and erases on what it takes for ScyllaDB", async () => {
  const proxy = await startScyllaProxy(inject("scyllaContactPoints")[0] ?? "");
  const installation = createClusterInstallation({
    natsServers: inject("natsServers"),
    contactPoints: [proxy.address],
    localDataCenter: inject("scyllaLocalDc"),
    isShared: true,
  });
  onTestFinished(async () => {
    await installation.dispose();
    await proxy.close();
  });
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  const { url, log } = await installation.start("serve");
  expect(log.join("\n")).toContain('"the store is ScyllaDB 2026.1.4"');
  expect((await query(url, PipelineDocument, {})).pipeline.database).toBe("ScyllaDB 2026.1.4");
  const report = await runDoctor(installation.environment);
  expect(troubleIn(report)).toEqual({});
  expect(report.findings.store).toMatch(/^ok: 1 node of ScyllaDB 2026\.1\.4 /);

  const viewedAt = new Date(Date.now() - 60_000).toISOString();
  const impressions = ["post-1", "post-2", "post-3"].map((postId) => ({ postId, viewedAt }));
  await query(url, RecordImpressionsDocument, { input: { userId: "ann", impressions } });
  const unseen = async () =>
    (await query(url, UnseenPostsDocument, { userId: "ann", candidates: ["post-1", "post-2", "new"] }))
      .unseenPosts;
  await vi.waitFor(async () => expect(await unseen()).toEqual(["new"]), { timeout: 60_000 });
  const { seenPosts } = await query(url, SeenPostsDocument, { userId: "ann", first: 2 });
  expect(seenPosts.nodes.map(({ post }) => post.id)).toEqual(["post-3", "post-2"]);

  const { eraseUser } = await query(url, EraseUserDocument, { userId: "ann" });
  await vi.waitFor(
    async () =>
      expect((await query(url, ErasureDocument, { id: eraseUser.id })).erasure?.status).toBe("DONE"),
    { timeout: 120_000 },
  );
  expect(await unseen()).toEqual(["post-1", "post-2", "new"]);
  expect(proxy.refused).toEqual([]);
}, 300_000);
