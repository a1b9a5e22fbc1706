import { afterAll, beforeAll, describe } from "vitest";
import type { Engine } from "../../../src/app/engine.ts";
import type { ClusterInstallation } from "../../kit/cluster-installation.ts";
import { replaySuite } from "../../suites/replay.ts";
import { openEngineOf } from "../../support/open-engine.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

describe("replay on the cluster engine", () => {
  let installation: ClusterInstallation;
  let engine: Engine;

  beforeAll(async () => {
    installation = await openSharedInstallation();
    engine = await openEngineOf(installation.environment);
  });

  afterAll(async () => {
    await engine.close();
    await installation.dispose();
  });

  replaySuite(() => ({ engine, environment: installation.environment }));
});
