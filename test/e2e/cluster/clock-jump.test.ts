import { expect, onTestFinished, test } from "vitest";
import { JUMPING_CLOCK, provesClockJump } from "../../suites/clock-jump.ts";
import { createSharedInstallation } from "../../support/shared-installation.ts";

test("cluster: a host's clock that runs 100 days ahead for a moment dates nothing and takes nothing away", async () => {
  const installation = createSharedInstallation();
  onTestFinished(installation.dispose);
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  await provesClockJump(await installation.start("serve", JUMPING_CLOCK));
});
