import { expect, onTestFinished, test } from "vitest";
import { readmeSessions, replaySessions } from "../suites/readme-session.ts";
import { createEmbeddedInstallation } from "../support/embedded-installation.ts";

test("the README's session gives the README's output", async () => {
  const installation = createEmbeddedInstallation();
  onTestFinished(installation.dispose);
  const { url } = await installation.start();

  const sessions = readmeSessions().filter(({ kind }) => kind !== "cluster");
  expect(sessions.length).toBeGreaterThanOrEqual(3);
  await replaySessions(sessions, url);
});
