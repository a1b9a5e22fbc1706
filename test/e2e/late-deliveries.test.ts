import { describe } from "vitest";
import { startApi } from "../support/api.ts";
import { lateDeliveriesSuite } from "../support/late-deliveries.ts";

describe("late deliveries on the embedded engine", () => {
  lateDeliveriesSuite(async (options) => {
    const api = await startApi(options);
    return { api, stop: api.stop };
  });
});
