import { join } from "node:path";
import { defineConfig } from "vitest/config";

// Node keeps what it compiled, and TypeScript without its types: a process or thread that a test starts loads it in a
// third of the processor time (test/adapters/embedded-queue.test.ts: 20 s without, 9 s with it).
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/node-compile");

// One copy of graphql in a test process: vitest would load its .mjs build beside the .js build that
// type-graphql and Apollo Server require.
const resolve = { alias: [{ find: /^graphql$/, replacement: "graphql/index.js" }] };

// A machine may be slow, and busy with other things: generous, never decisive. What hangs is still ended.
const timeouts = { testTimeout: 300_000, hookTimeout: 300_000 };

/** A unit test waits for nothing outside: one that takes longer hangs. */
const unitTimeouts = { testTimeout: 10_000, hookTimeout: 10_000 };

/** Those chaos scenarios of which `npm test` runs the short form. */
const CHAOS_IN_SHORT = "test/chaos/{01,02,03,06,07,11,13,15,16,17}-*.test.ts";

/** What is in a folder of this name gets the run's NATS and Cassandra, and nothing else does. */
const NEEDS_SERVERS = "test/{adapters,e2e}/cluster/**/*.test.ts";

/** Most files wait for servers and processes most of the time, so three of them share two cores well. */
const TEST_FILES_AT_ONCE = 3;

export default defineConfig({
  test: {
    maxWorkers: TEST_FILES_AT_ONCE,
    reporters: ["default", "./test/support/slowest-files.ts"],
    projects: [
      { resolve, test: { name: "unit", include: ["test/unit/**/*.test.ts"], ...unitTimeouts } },
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
          include: [NEEDS_SERVERS, CHAOS_IN_SHORT],
          globalSetup: ["test/servers/global-setup.ts"],
          provide: { chaosForm: "short" },
          ...timeouts,
        },
      },
      {
        // The same two servers; a scenario that breaks a server starts its own.
        resolve,
        test: {
          name: "chaos",
          include: ["test/chaos/*.test.ts"],
          globalSetup: ["test/servers/global-setup.ts"],
          provide: { chaosForm: "full" },
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
      {
        // The programs of examples/, in their own languages.
        resolve,
        test: {
          name: "examples",
          include: ["test/examples/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 600_000,
        },
      },
      // The SDK: in virtual time, and against the built service.
      {
        resolve,
        test: { name: "client", include: ["test/client/**/*.test.ts"], ...timeouts },
      },
      { resolve, test: { name: "browser", include: ["test/browser/**/*.test.ts"], ...timeouts } },
    ],
  },
});
