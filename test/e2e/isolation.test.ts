import { onTestFinished, test } from "vitest";
import { systemClock } from "../../src/domain/time.ts";
import { openEmbeddedEngine } from "../../src/embedded/open.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { engineOptions } from "../kit/embedded.ts";
import { createRandom } from "../kit/random.ts";
import { provesIsolation } from "../suites/isolation.ts";

test("embedded: a message that kills its worker is dead-lettered, the 499 pulled with it are stored", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const seed = Number(process.env.ISOLATION_SEED ?? Date.now() % 1_000_000);
  console.info(`ISOLATION_SEED=${seed}`);
  const engine = {
    environment: { ENGINE: "embedded", DATA_DIR: directory.path },
    open: () => openEmbeddedEngine(engineOptions({ dataDir: directory.path, clock: systemClock })),
  };
  await provesIsolation(engine, createRandom(seed));
});
