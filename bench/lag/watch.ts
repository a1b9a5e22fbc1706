import { setTimeout as sleep } from "node:timers/promises";
import { PipelineDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { memoryOf } from "../support/process-usage.ts";

const EVERY_MS = 1_000;

/** Measurements of one second. */
export interface Watched {
  /** Messages that are not acked. */
  readonly backlog: number;
  /** Of each process, in the order given. */
  readonly rssMb: readonly number[];
}

/** Looks each second, until `done` settles. */
export async function watchWhile(
  url: string,
  pids: readonly number[],
  done: Promise<unknown>,
): Promise<Watched[]> {
  let over = false;
  void done
    .catch(() => undefined)
    .finally(() => {
      over = true;
    });
  const watched: Watched[] = [];
  while (!over) {
    const { pipeline } = await query(url, PipelineDocument, {});
    watched.push({ backlog: pipeline.pending, rssMb: pids.map((pid) => memoryOf(pid).rssMb) });
    await sleep(EVERY_MS);
  }
  return watched;
}
