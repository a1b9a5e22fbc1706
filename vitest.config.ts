import { defineConfig } from "vitest/config";

// One copy of graphql in a test process: vitest would load its .mjs build beside the .js build that
// type-graphql and Apollo Server require.
const resolve = { alias: [{ find: /^graphql$/, replacement: "graphql/index.js" }] };

// Real processes, disks and servers on a machine that may be slow: generous, never decisive.
const timeouts = { testTimeout: 120_000, hookTimeout: 120_000 };

const NEEDS_SERVERS = "test/{adapters,e2e}/{servers,jetstream,scylla,cluster}*.test.ts";

export default defineConfig({
  test: {
    projects: [
      { resolve, test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      {
        resolve,
        test: {
          name: "system",
          include: ["test/adapters/**/*.test.ts", "test/e2e/**/*.test.ts"],
          exclude: [NEEDS_SERVERS],
          ...timeouts,
        },
      },
      {
        // One NATS and one Cassandra for the whole run.
        resolve,
        test: {
          name: "servers",
          include: [NEEDS_SERVERS],
          globalSetup: ["test/support/servers/global-setup.ts"],
          ...timeouts,
        },
      },
      {
        // Three nodes of each, started by the tests themselves.
        resolve,
        test: {
          name: "cluster",
          include: ["test/cluster/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      { resolve, test: { name: "browser", include: ["test/browser/**/*.test.ts"], ...timeouts } },
    ],
  },
});
