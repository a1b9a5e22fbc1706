import { onTestFinished } from "vitest";
import { testWalksUnderArrival } from "../suites/walk-arrivals.ts";
import { createEmbeddedInstallation } from "../support/embedded-installation.ts";

testWalksUnderArrival("embedded", 120, async () => {
  const installation = createEmbeddedInstallation();
  onTestFinished(installation.dispose);
  return (await installation.start()).url;
});
