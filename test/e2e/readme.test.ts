import { expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { startServiceProcess } from "../kit/service-process.ts";
import { readmeSessions, replaySessions } from "../suites/readme-session.ts";

test("the README's session gives the README's output", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const service = await startServiceProcess({ DATA_DIR: directory.path });
  onTestFinished(async () => void (await service.kill("SIGKILL")));

  const sessions = readmeSessions().filter(({ kind }) => kind !== "cluster");
  expect(sessions.length).toBeGreaterThanOrEqual(3);
  await replaySessions(sessions, service.url);
});
