import { describe } from "vitest";
import { startClusterApi } from "../support/cluster-api.ts";
import { lateDeliveriesSuite } from "../support/late-deliveries.ts";

describe("late deliveries on the cluster engine", () => {
  lateDeliveriesSuite(startClusterApi);
});
