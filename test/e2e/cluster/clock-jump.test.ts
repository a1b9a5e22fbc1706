import { onTestFinished, test } from "vitest";
import { JUMPING_CLOCK, provesClockJump } from "../../suites/clock-jump.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

test("cluster: a host's clock that runs 100 days ahead for a moment dates nothing and takes nothing away", async () => {
  const installation = await openSharedInstallation();
  onTestFinished(installation.dispose);
  await provesClockJump(await installation.start("serve", JUMPING_CLOCK));
});
