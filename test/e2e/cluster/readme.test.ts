import { expect, onTestFinished, test } from "vitest";
import { readmeSessions, replaySessions } from "../../suites/readme-session.ts";
import { createSharedInstallation } from "../../support/shared-installation.ts";

test("the README's sessions give the README's output on the cluster engine", async () => {
  const installation = createSharedInstallation();
  onTestFinished(installation.dispose);
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  const { url } = await installation.start("serve");

  const sessions = readmeSessions();
  expect(sessions.some(({ kind }) => kind === "cluster")).toBe(true);
  await replaySessions(sessions, url);
});
