import { onTestFinished, test } from "vitest";
import { startSilentServer } from "../../servers/silent-server.ts";
import { provesBackpressure, QUEUE_LIMIT } from "../../suites/backpressure.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "cluster: a store that hangs is felt at the client, and nothing acknowledged is lost",
  async () => {
    const installation = await openSharedInstallation();
    onTestFinished(installation.dispose);
    const hung = await installation.start("serve", {
      ...QUEUE_LIMIT,
      SCYLLA_CONTACT_POINTS: await startSilentServer(),
    });
    await provesBackpressure(hung, async () => {
      await hung.kill("SIGKILL");
      return installation.start("serve", QUEUE_LIMIT);
    });
  },
  TIMEOUT_MS,
);
