import { onTestFinished, test } from "vitest";
import { JUMPING_CLOCK, provesClockJump } from "../support/clock-jump.ts";
import { createTemporaryDirectory } from "../support/directory.ts";
import { startServiceProcess } from "../support/service-process.ts";

test("embedded: a host's clock that runs 100 days ahead for a moment dates nothing and takes nothing away", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const service = await startServiceProcess({ ...JUMPING_CLOCK, DATA_DIR: directory.path });
  onTestFinished(async () => void (await service.kill("SIGKILL")));
  await provesClockJump(service);
});
