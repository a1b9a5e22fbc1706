import { onTestFinished } from "vitest";
import { testWalksUnderArrival } from "../../suites/walk-arrivals.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

testWalksUnderArrival("cluster", 20, async () => {
  const installation = await openSharedInstallation();
  onTestFinished(installation.dispose);
  return (await installation.start("serve")).url;
});
