import { onTestFinished, test } from "vitest";
import { JUMPING_CLOCK, provesClockJump } from "../suites/clock-jump.ts";
import { createEmbeddedInstallation } from "../support/embedded-installation.ts";

test("embedded: a host's clock that runs 100 days ahead for a moment dates nothing and takes nothing away", async () => {
  const installation = createEmbeddedInstallation();
  onTestFinished(installation.dispose);
  await provesClockJump(await installation.start(JUMPING_CLOCK));
});
