import type { Reporter, TestModule } from "vitest/node";

const FILES_MAX = 10;

/** Prints at the end of a run which test files took longest, so that the time of `npm test` is known by file. */
export default class SlowestFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const files = modules
      .map((module) => ({ seconds: module.diagnostic().duration / 1_000, module }))
      .toSorted((a, b) => b.seconds - a.seconds)
      .slice(0, FILES_MAX);
    if (files.length < 2) return;
    console.log(`\nThe slowest of ${modules.length} test files:`);
    for (const { seconds, module } of files)
      console.log(
        `  ${seconds.toFixed(1).padStart(6)} s  ${module.project.name}  ${module.relativeModuleId}`,
      );
  }
}
