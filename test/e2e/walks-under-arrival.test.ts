import { onTestFinished } from "vitest";
import { createTemporaryDirectory } from "../support/directory.ts";
import { startServiceProcess } from "../support/service-process.ts";
import { testWalksUnderArrival } from "../support/walk-arrivals.ts";

testWalksUnderArrival("embedded", 120, async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(() => directory.remove());
  const service = await startServiceProcess({ DATA_DIR: directory.path });
  onTestFinished(async () => void (await service.kill("SIGKILL")));
  return service.url;
});
