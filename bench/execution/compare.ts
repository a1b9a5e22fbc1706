import { parseArgs } from "node:util";
import { type ComparedModules, createComparison } from "../../test/kit/compared-executions.ts";

/**
 * Compares the ways of executing a request over as many random ones as are asked for (`npm test` runs the first 2,000).
 * `npm run compare:execution -- --documents 200000 --seed 1`; another seed for other documents. Ends with 1 where an
 * answer differs: each is printed with its seed, and `--documents 1 --seed THAT` repeats it.
 */

const PROGRESS_DOCUMENTS = 5_000;
const PRINTED_MAX = 10;

const { values } = parseArgs({
  options: {
    documents: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
  },
});
const documents = Number(values.documents);
const firstSeed = Number(values.seed);
if (!Number.isSafeInteger(documents) || !Number.isSafeInteger(firstSeed))
  throw new Error("--documents and --seed take whole numbers");

// The built code: Node does not run decorators from TypeScript.
const dist = (path: string) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const modules = await Promise.all(
  [
    "domain/caller.js",
    "resolvers/context.js",
    "resolvers/query-cost.js",
    "resolvers/request-outcome.js",
    "resolvers/schema.js",
    "server/apollo.js",
    "server/compiled-operation.js",
    "server/compiled-run.js",
    "server/graphql-errors.js",
  ].map(dist),
);
const { compare, counts } = await createComparison(Object.assign({}, ...modules) as ComparedModules);

let differing = 0;
const startMs = performance.now();
for (let index = 1; index <= documents; index++) {
  const difference = await compare(firstSeed + index - 1);
  if (difference !== null && ++differing <= PRINTED_MAX) console.log(`${difference}\n`);
  if (index % PROGRESS_DOCUMENTS !== 0 && index !== documents) continue;
  const perSecond = Math.round((index * 1_000) / (performance.now() - startMs));
  console.log(
    `${index} of ${documents} from seed ${firstSeed}: ${differing} differ, ${counts.compiled} were compiled, ${counts.failing} had errors; ${perSecond} a second`,
  );
}
process.exitCode = differing === 0 ? 0 : 1;
