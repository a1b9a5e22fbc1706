import { describe } from "vitest";
import { lateDeliveriesSuite } from "../suites/late-deliveries.ts";
import { startApi } from "../support/api.ts";

describe("late deliveries on the embedded engine", () => {
  lateDeliveriesSuite(async (options) => {
    const api = await startApi(options);
    return { api, stop: api.stop };
  });
});
