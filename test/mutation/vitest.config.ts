import { defineConfig } from "vitest/config";

// The unit tests alone, for mutation testing: what a mutant breaks must show without servers and within seconds.
export default defineConfig({
  resolve: { alias: [{ find: /^graphql$/, replacement: "graphql/index.js" }] },
  test: {
    name: "unit",
    root: `${import.meta.dirname}/../..`,
    include: ["test/unit/**/*.test.ts"],
    // These look at files and words, not at what the mutated code does.
    exclude: [
      "test/unit/{vocabulary,pages,alerts-and-dashboard,deploy*,bench-*,import-recipe,security-document,compared-executions}.test.ts",
    ],
    testTimeout: 10_000,
    // Worlds of the model of views: a fraction of the usual ones, since each mutant is held against them.
    env: { IDENTITY_WORLDS: "40" },
  },
});
