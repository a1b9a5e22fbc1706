import { expect, onTestFinished, test } from "vitest";
import { readmeSessions, replaySessions } from "../../suites/readme-session.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

test("the README's sessions give the README's output on the cluster engine", async () => {
  const installation = await openSharedInstallation();
  onTestFinished(installation.dispose);
  const { url } = await installation.start("serve");

  const sessions = readmeSessions();
  expect(sessions.some(({ kind }) => kind === "cluster")).toBe(true);
  await replaySessions(sessions, url);
});
