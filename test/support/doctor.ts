import { expect } from "vitest";
import { runCommand } from "../kit/service-process.ts";

/** The result of each check of `impressions doctor`, and its exit code. */
export interface DoctorReport {
  readonly code: number | null;
  /** `result: detail` by check; several lines of one check are joined by line ends. */
  readonly findings: Readonly<Record<string, string>>;
}

export async function runDoctor(environment: Readonly<Record<string, string>>): Promise<DoctorReport> {
  const { code, stdout, stderr } = await runCommand({ LOG_LEVEL: "silent", ...environment }, "doctor");
  expect(stderr).toBe("");
  const findings: Record<string, string> = {};
  for (const line of stdout.trimEnd().split("\n")) {
    const [, result, check = "", detail] =
      /^(ok|warning|failed) +(.+?) {2,}(.+)$/.exec(line) ?? expect.fail(line);
    const finding = `${result}: ${detail}`;
    findings[check] = findings[check] === undefined ? finding : `${findings[check]}\n${finding}`;
  }
  return { code, findings };
}

/** The checks that were not ok. */
export function troubleIn({ findings }: DoctorReport): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(findings).filter(([, finding]) => /^(warning|failed)/m.test(finding)),
  );
}
