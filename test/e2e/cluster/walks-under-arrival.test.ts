import { expect, onTestFinished } from "vitest";
import { testWalksUnderArrival } from "../../suites/walk-arrivals.ts";
import { createSharedInstallation } from "../../support/shared-installation.ts";

testWalksUnderArrival("cluster", 20, async () => {
  const installation = createSharedInstallation();
  onTestFinished(installation.dispose);
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  return (await installation.start("serve")).url;
});
