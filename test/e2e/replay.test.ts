import { afterAll, beforeAll, describe } from "vitest";
import type { Engine } from "../../src/app/engine.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { replaySuite } from "../suites/replay.ts";
import { openEngineOf } from "../support/open-engine.ts";

describe("replay on the embedded engine", () => {
  const directory = createTemporaryDirectory();
  const environment = { DATA_DIR: directory.path };
  let engine: Engine;

  beforeAll(async () => {
    engine = await openEngineOf(environment);
  });

  afterAll(async () => {
    await engine.close();
    directory.remove();
  });

  replaySuite(() => ({ engine, environment }));
});
