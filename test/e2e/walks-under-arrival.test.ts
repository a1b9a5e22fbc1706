import { onTestFinished } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { startServiceProcess } from "../kit/service-process.ts";
import { testWalksUnderArrival } from "../suites/walk-arrivals.ts";

testWalksUnderArrival("embedded", 120, async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(() => directory.remove());
  const service = await startServiceProcess({ DATA_DIR: directory.path });
  onTestFinished(async () => void (await service.kill("SIGKILL")));
  return service.url;
});
