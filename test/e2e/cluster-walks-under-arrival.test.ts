import { expect, onTestFinished } from "vitest";
import { createSharedInstallation } from "../support/shared-installation.ts";
import { testWalksUnderArrival } from "../support/walk-arrivals.ts";

testWalksUnderArrival("cluster", 20, async () => {
  const installation = createSharedInstallation();
  onTestFinished(installation.dispose);
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  return (await installation.start("serve")).url;
});
