import { describeAccessMatrix } from "../suites/access-matrix.ts";
import { startApi } from "../support/api.ts";

/** Access on the embedded engine; cluster/access.test.ts has the other. */

describeAccessMatrix((environment) => startApi({ environment }));
