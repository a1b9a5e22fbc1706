import { expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../support/directory.ts";
import { readmeSessions, replaySessions } from "../support/readme-session.ts";
import { startServiceProcess } from "../support/service-process.ts";

test("the README's session gives the README's output", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const service = await startServiceProcess({ DATA_DIR: directory.path });
  onTestFinished(async () => void (await service.kill("SIGKILL")));

  const sessions = readmeSessions().filter(({ kind }) => kind !== "cluster");
  expect(sessions.length).toBeGreaterThanOrEqual(3);
  await replaySessions(sessions, service.url);
});
