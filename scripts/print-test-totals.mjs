// Adds up vitest's JSON reports, names the tests that failed, and prints one closing line for people and for CI.
import { existsSync, readFileSync } from "node:fs";

const totals = { passed: 0, failed: 0, skipped: 0 };
for (const file of process.argv.slice(2).filter((path) => existsSync(path))) {
  const report = JSON.parse(readFileSync(file, "utf8"));
  totals.passed += report.numPassedTests;
  totals.failed += report.numFailedTests;
  totals.skipped += report.numPendingTests + report.numTodoTests;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const failed = assertionResults.filter((test) => test.status === "failed");
    for (const test of failed)
      console.log(`failed: ${name}: ${test.fullName}\n  ${test.failureMessages[0] ?? ""}`);
    if (status === "failed" && failed.length === 0) console.log(`failed: ${name}: ${message}`);
  }
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
if (totals.failed > 0 || totals.passed === 0) process.exitCode = 1;
