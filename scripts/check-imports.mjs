// Holds the direction of imports (.dependency-cruiser.mjs). A tree that could not be read counts as a failure: without a
// parser for TypeScript dependency-cruiser finds nothing, and nothing has no violations.
import { cruise } from "dependency-cruiser";
import config from "../.dependency-cruiser.mjs";

/** Well under the number of modules in src/ and client/src/. */
const MODULES_MIN = 50;

const { output } = await cruise(["src", "client/src"], {
  ruleSet: config,
  validate: true,
  ...config.options,
  outputType: "json",
});
const { summary } = JSON.parse(output);
for (const { rule, from, to } of summary.violations) console.error(`${rule.name}: ${from} -> ${to}`);
console.log(`${summary.totalCruised} modules, ${summary.violations.length} wrong imports`);
if (summary.violations.length > 0 || summary.totalCruised < MODULES_MIN) process.exitCode = 1;
