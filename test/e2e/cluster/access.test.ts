import { afterAll, beforeAll } from "vitest";
import { describeAccessMatrix } from "../../suites/access-matrix.ts";
import { type ClusterApi, startClusterApi } from "../../support/cluster-api.ts";

/** Access on the cluster engine; ../access.test.ts has the embedded one. */

let cluster: ClusterApi;
beforeAll(async () => {
  cluster = await startClusterApi();
});
afterAll(() => cluster?.stop());

describeAccessMatrix((environment) => cluster.startAnother({ environment }));
