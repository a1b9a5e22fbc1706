/** Mutation testing of what decides: `npm run test:mutation`, or with `-- --mutate FILE` for one file. docs/mutation-testing.md */
export default {
  plugins: ["@stryker-mutator/vitest-runner"],
  testRunner: "vitest",
  vitest: { configFile: "test/mutation/vitest.config.ts" },
  coverageAnalysis: "perTest",
  concurrency: 2,
  mutate: [
    "src/domain/**/*.ts",
    "src/ingest/group-commit.ts",
    "src/workers/planner.ts",
    "src/workers/ack-tracker.ts",
    "src/workers/retry-decision.ts",
    "src/workers/commit-groups.ts",
    "src/scylla/walks/*.ts",
    "src/scylla/packs/*.ts",
    "src/scylla/slices.ts",
    "src/resolvers/cursor.ts",
  ],
  // A mutant that does not end is killed after this and twice the time of the test.
  timeoutMS: 5_000,
  reporters: ["clear-text", "json", "progress-append-only"],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: "test-output/mutation.json" },
  tempDirName: "test-output/stryker",
  ignorePatterns: ["bench", "dist", "findings", "deploy", "client/dist", "test-output"],
  disableTypeChecks: false,
  // Stryker 10.1.1 rewrites a tsconfig.json by a function that TypeScript 7 does not have; nothing here needs it rewritten.
  tsconfigFile: "none.json",
};
