import { existsSync, readdirSync, readFileSync } from "node:fs";
import { waitUntil } from "./wait.ts";

// A thread stops when it next runs, so on a busy machine some of a process' threads answer for a while yet.
const FREEZE_DEADLINE_MS = 30_000;

/**
 * Resolves once every thread of a process that was sent SIGSTOP has stopped. Only Linux can tell: elsewhere
 * it resolves at once.
 */
export async function frozen(pid: number): Promise<void> {
  if (!existsSync("/proc/self/task")) return;
  await waitUntil({
    what: `every thread of process ${pid} is stopped`,
    probe: () => {
      const running = threadStates(pid).filter((state) => state !== "T");
      return running.length === 0
        ? Promise.resolve()
        : Promise.reject(new Error(`threads in state ${running.join(" ")}`));
    },
    deadlineMs: FREEZE_DEADLINE_MS,
  });
}

/** The state letter of each thread: the word after the parenthesised name, which may hold anything (proc(5)). */
function threadStates(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return stat.charAt(stat.lastIndexOf(")") + 2);
  });
}
