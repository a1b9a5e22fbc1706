import { readFileSync, writeFileSync } from "node:fs";

/** A tick of /proc/PID/stat: USER_HZ is 100 on every Linux of today. */
const TICK_MS = 10;

/** The CPU time that a process has taken, in milliseconds; NaN where there is no /proc to ask. */
export function cpuMsOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  // The second field, the program's name in parentheses, may hold spaces. After it: state is the 3rd, utime the 14th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The CPU time that a process's main thread has taken, for a Node process its event loop, in milliseconds; NaN as above. */
export function mainThreadMsOf(pid: number): number {
  const [ranNs] = read(`/proc/${pid}/task/${pid}/schedstat`).split(" ");
  return ranNs ? Number(ranNs) / 1e6 : Number.NaN;
}

/** Lets `peakMb` begin anew at what is resident now. */
export function forgetPeakOf(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // No Linux: there is no peak to forget.
  }
}

/** Resident megabytes now, and the most so far; NaN where there is no /proc to ask. */
export function memoryOf(pid: number): { readonly rssMb: number; readonly peakMb: number } {
  const status = read(`/proc/${pid}/status`);
  const mb = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024;
  return { rssMb: mb("VmRSS"), peakMb: mb("VmHWM") };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
