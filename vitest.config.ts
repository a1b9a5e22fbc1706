import { defineConfig } from "vitest/config";

// One copy of graphql in a test process: vitest would load its .mjs build beside the .js build that
// type-graphql and Apollo Server require.
const alias = [{ find: /^graphql$/, replacement: "graphql/index.js" }];

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: { name: "unit", include: ["test/unit/**/*.test.ts"] },
      },
      {
        resolve: { alias },
        test: {
          name: "system",
          include: ["test/adapters/**/*.test.ts", "test/e2e/**/*.test.ts"],
          // Real processes, disks and servers on a machine that may be slow: generous, never decisive.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve: { alias },
        test: { name: "browser", include: ["test/browser/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
      },
    ],
  },
});
