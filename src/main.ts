#!/usr/bin/env node
/**
 * The executable. Everything else is imported after the look at Node's version: an older Node fails while it loads the
 * modules, with a message that says nothing of versions.
 */
import { existsSync } from "node:fs";
import { loadEnvFile } from "node:process";

/** `engines` in package.json (test/e2e/executable.test.ts holds the two together). */
const NODE_MAJOR_MIN = 24;

if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `impressions: this is Node ${process.versions.node}, and ${NODE_MAJOR_MIN} or newer is needed: install it, or run it by ` +
      "npm (`npm start`, `npx impressions`), which takes the Node that `npm ci` brought\n",
  );
  process.exit(1);
}
// What the environment says comes first, so that a file that lies there changes nothing that was set on purpose.
if (existsSync(".env")) loadEnvFile(".env");
// Libraries look at it while they load: graphql-js checks a large answer 1.7 times as fast with it.
process.env.NODE_ENV ??= "production";
await import("./command-line.ts");
