import { afterAll } from "vitest";
import type { ImpressionStore } from "../../../src/ports/impression-store.ts";
import { storeModel } from "../../contract/model.ts";
import { daysOf, dropTestKeyspaces, openTestKeyspace } from "../../support/scylla.ts";

afterAll(dropTestKeyspaces);

/**
 * Rows after which each of the processes goes on in finer slices: so few that the model's small worlds reach every
 * length, and so different that one view is written to several.
 */
const SLICE_ROWS_MAX = [2, 5, 25_000];

storeModel({
  name: "scylla, several processes that escalate",
  async open({ retentionMs }) {
    const keyspace = await openTestKeyspace();
    const openAll = () =>
      Promise.all(
        SLICE_ROWS_MAX.map(async (sliceRowsMax) => {
          const { store } = await keyspace.open({ retentionDays: daysOf(retentionMs), sliceRowsMax });
          return store;
        }),
      );
    let stores = await openAll();
    return {
      store: takingTurns(stores),
      async reopen() {
        await Promise.all(stores.map((store) => store.close()));
        stores = await openAll();
        return takingTurns(stores);
      },
      dispose: () => keyspace.dispose(),
    };
  },
});

/** One store in front of several processes: each call goes to the next of them. */
function takingTurns(stores: readonly ImpressionStore[]): ImpressionStore {
  let turn = 0;
  const next = (): ImpressionStore => {
    const store = stores[turn++ % stores.length];
    if (store === undefined) throw new Error("no stores");
    return store;
  };
  return {
    writeViewers: (postId, views) => next().writeViewers(postId, views),
    writeHistory: (userId, views) => next().writeHistory(userId, views),
    seenPosts: (request) => next().seenPosts(request),
    postViewers: (request) => next().postViewers(request),
    seenAmong: (userId, postIds, rule) => next().seenAmong(userId, postIds, rule),
    scan: (after, limit) => next().scan(after, limit),
    eraseUser: (userId, throughReceivedAtUs) => next().eraseUser(userId, throughReceivedAtUs),
    erasedThrough: (userIds) => next().erasedThrough(userIds),
    saveErasure: (erasure) => next().saveErasure(erasure),
    findErasure: (id) => next().findErasure(id),
    unfinishedErasures: () => next().unfinishedErasures(),
    scrub: () => next().scrub(),
    claimErasure: (id, holder, leaseMs) => next().claimErasure(id, holder, leaseMs),
    releaseErasure: (id, holder) => next().releaseErasure(id, holder),
    health: () => next().health(),
    close: async () => void (await Promise.all(stores.map((store) => store.close()))),
  };
}
