import { systemClock } from "../../src/domain/time.ts";
import { type EmbeddedEngine, openEmbeddedEngine } from "../../src/embedded/open.ts";
import { engineOptions } from "../kit/embedded.ts";
import { viewOf } from "../kit/views.ts";

/**
 * A process of its own around an embedded engine, for tests that kill it or limit it:
 *
 *   node embedded-process.ts <hold | write | fill> <data directory> <name of this run>
 *
 * It says what it has done in lines of JSON. Only what was resolved is said.
 */
const WRITERS = 16;
const VIEWS_PER_WRITE = 5;
const LARGE_BODY = "x".repeat(32 * 1_024);

/** The messages of the process. */
export type Line =
  | { readonly said: "open" }
  | { readonly said: "published"; readonly body: string }
  | { readonly said: "stored"; readonly identities: readonly string[] }
  | { readonly said: "failed"; readonly error: string; readonly healthy: boolean }
  | { readonly said: "recovered" };

function say(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Publishes and stores without end. */
async function write({ queue, store }: EmbeddedEngine, run: string): Promise<void> {
  let next = 0;
  const writer = async () => {
    for (;;) {
      const number = next++;
      const body = `${run}-${number}`;
      await queue.publish({ id: body, body });
      say({ said: "published", body });
      const views = Array.from({ length: VIEWS_PER_WRITE }, (_, index) =>
        viewOf({ userId: `${run}-u${number}`, postId: `p${index}`, viewedAtMs: Date.now() }),
      );
      await store.writeHistory(`${run}-u${number}`, views);
      say({
        said: "stored",
        identities: views.map(({ userId, postId, viewedAtMs }) => `${userId} ${postId} ${viewedAtMs}`),
      });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
}

/** Publishes until the disk takes nothing more, not even the small write of a health check; then until it does again. */
async function fill({ queue }: EmbeddedEngine, run: string): Promise<void> {
  let number = 0;
  let error = "";
  while ((await queue.health()).healthy) {
    const message = { id: `${run}-${number++}`, body: LARGE_BODY };
    await queue.publish(message).catch((reason: unknown) => {
      error = nameOf(reason);
    });
  }
  say({ said: "failed", error, healthy: false });
  while (!(await queue.health()).healthy);
  await queue.publish({ id: `${run}-last`, body: LARGE_BODY });
  say({ said: "recovered" });
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : String(error);
}

const [mode, dataDir, run] = process.argv.slice(2);
if (mode !== undefined && dataDir !== undefined && run !== undefined) {
  try {
    const engine = await openEmbeddedEngine(engineOptions({ dataDir, clock: systemClock }));
    say({ said: "open" });
    if (mode === "write") await write(engine, run);
    if (mode === "fill") await fill(engine, run);
    // "hold": the pull keeps the process alive.
    await engine.queue.pull({
      maxMessages: 1,
      maxBytes: 1,
      waitMs: 600_000,
      signal: new AbortController().signal,
    });
  } catch (error) {
    say({ said: "failed", error: nameOf(error), healthy: false });
    process.exitCode = 1;
  }
}
