import { describe, expect, onTestFinished, test } from "vitest";
import { STATEMENTS } from "../../../src/scylla/statements.ts";
import { recordViews, viewOf } from "../../kit/views.ts";
import { startClusterApi } from "../../support/cluster-api.ts";
import { noteConsistencies } from "../../support/sent-statements.ts";

/** The consistency that statements went out with, as the driver resolved it. */
describe.each([
  ["by default", {}, "localQuorum"],
  ["READ_CONSISTENCY=LOCAL_QUORUM", { READ_CONSISTENCY: "LOCAL_QUORUM" }, "localQuorum"],
  ["READ_CONSISTENCY=LOCAL_ONE", { READ_CONSISTENCY: "LOCAL_ONE" }, "localOne"],
])("%s", (_, environment, consistency) => {
  test(`reads of the API go out at ${consistency}, everything else at localQuorum`, async () => {
    const noted = noteConsistencies();
    onTestFinished(noted.stop);
    const { api, stop } = await startClusterApi({ environment });
    onTestFinished(stop);

    const viewedAtMs = Date.now() - 60_000;
    await recordViews(api.engine.store, [
      viewOf({ userId: "u", postId: "p", viewedAtMs }),
      viewOf({ userId: "u", postId: "q", viewedAtMs }),
    ]);
    await api.run(`{
      seenPosts(userId: "u") { nodes { views } }
      postViewers(postId: "p") { nodes { views } }
      unseenPosts(userId: "u", candidates: ["p"])
      byDwell: unseenPosts(userId: "u", candidates: ["p"], rule: { minDwellMs: 1 })
      pipeline { storeHealthy }
    }`);
    await api.run(`mutation { eraseUser(userId: "nobody") { id } }`);

    const names = [...noted.byStatement.keys()].filter((name) => Object.hasOwn(STATEMENTS, name));
    for (const name of names) {
      const isQuery = STATEMENTS[name as keyof typeof STATEMENTS].kind === "query";
      expect([...(noted.byStatement.get(name) ?? [])], name).toEqual([isQuery ? consistency : "localQuorum"]);
    }
    expect(names).toEqual(
      expect.arrayContaining([
        ...["readPacks", "readPacksOfUsers", "readSliceMarkers", "readViewers"],
        ...["insertViewer", "insertSliceMarker", "insertPack", "saveReceipt", "findReceipt"],
      ]),
    );
  });
});
