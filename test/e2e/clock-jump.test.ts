import { onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { startServiceProcess } from "../kit/service-process.ts";
import { JUMPING_CLOCK, provesClockJump } from "../suites/clock-jump.ts";

test("embedded: a host's clock that runs 100 days ahead for a moment dates nothing and takes nothing away", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const service = await startServiceProcess({ ...JUMPING_CLOCK, DATA_DIR: directory.path });
  onTestFinished(async () => void (await service.kill("SIGKILL")));
  await provesClockJump(service);
});
