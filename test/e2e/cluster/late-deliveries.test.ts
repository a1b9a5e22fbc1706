import { describe } from "vitest";
import { lateDeliveriesSuite } from "../../suites/late-deliveries.ts";
import { startClusterApi } from "../../support/cluster-api.ts";

describe("late deliveries on the cluster engine", () => {
  lateDeliveriesSuite(startClusterApi);
});
