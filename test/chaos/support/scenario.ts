import { inject, test } from "vitest";
import { createRandom, type Random } from "../../kit/random.ts";
import { createLedger, type Ledger } from "../../support/ledger.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Which form of its scenarios a project runs: `npm test` the short ones, `npm run test:chaos` the full ones. */
    chaosForm: Form;
  }
}

/** The same scenario with small or with large numbers. */
export type Form = "short" | "full";

/** The means of a scenario. */
export interface Chaos {
  /** Every choice comes from here: CHAOS_SEED repeats them. */
  readonly random: Random;
  readonly ledger: Ledger;
  /** The number for the form that runs. */
  sized<Value>(by: Readonly<Record<Form, Value>>): Value;
  /** Figures for a reader of the run, printed with the seed when the scenario has held. */
  report(figures: Readonly<Record<string, unknown>>): void;
}

const TIMEOUT_MS = 900_000;
const SEED_MAX = 1_000_000;

/** Registers a scenario. Its seed is printed before it runs, so that a failure can be repeated. */
export function scenario(name: string, run: (chaos: Chaos) => Promise<void>): void {
  test(name, { timeout: TIMEOUT_MS }, async () => {
    const form = inject("chaosForm");
    const seed = Number(process.env.CHAOS_SEED ?? Date.now() % SEED_MAX);
    console.info(`${name}: CHAOS_SEED=${seed}, ${form} form`);
    const startedMs = performance.now();
    const figures: Record<string, unknown> = {};
    await run({
      random: createRandom(seed),
      ledger: createLedger(),
      sized: (by) => by[form],
      report: (more) => Object.assign(figures, more),
    });
    const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
    console.info(`${name}: held, ${JSON.stringify({ seed, seconds, ...figures })}`);
  });
}
