import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { PipelineDocument } from "../../../src/generated/operations.ts";
import { createTemporaryDirectory } from "../../kit/directory.ts";
import { query } from "../../kit/graphql-request.ts";
import type { runCommand, ServiceProcess } from "../../kit/service-process.ts";
import { linesOf, sendViews } from "./delivery.ts";
import { type PublicLog, type PublicLogExtent, readPublicLog } from "./log.ts";
import { expectReads } from "./reads.ts";

/** An engine with nothing in it, and the built program on it. */
export interface Installation {
  /** `impressions serve`. */
  serve(): Promise<ServiceProcess>;
  /** Any other command, to its end. */
  run(...parameters: readonly string[]): ReturnType<typeof runCommand>;
  /** Stops what still runs and removes the data. */
  dispose(): Promise<void>;
}

/** An engine to try with the log. */
export interface PublicLogSubject {
  readonly engine: string;
  createInstallation(): Promise<Installation>;
  /** Whether an import leaves the storing to a service that runs beside it, or needs the engine for itself. */
  readonly importsBesideService: boolean;
}

const TIMEOUT_MS = 30 * 60_000;

/**
 * Real input: the public log goes in through the mutation and through an import, and every read must be what the file
 * says. 10,000 rows; all 60,000 by hand:
 * `PUBLIC_LOG_ROWS=all npx vitest run --project system test/e2e/public-log.test.ts` (on the cluster engine
 * `--project servers test/e2e/cluster/public-log.test.ts`).
 */
export function describePublicLog({ engine, createInstallation, importsBesideService }: PublicLogSubject) {
  describe(`the public impression log on the ${engine} engine`, () => {
    // Read once, but by the tests: without its input a test is to fail, and after a failed hook it would be skipped.
    let reading: Promise<PublicLog> | undefined;
    const readLog = () => {
      reading ??= readPublicLog(extentAsked());
      return reading;
    };
    const installationHere = async () => {
      const installation = await createInstallation();
      onTestFinished(installation.dispose);
      return installation;
    };
    const stop = async (service: ServiceProcess) =>
      expect(await service.kill("SIGTERM"), service.log.join("\n")).toEqual({ code: 0, signal: null });

    test("through the mutation", { timeout: TIMEOUT_MS }, async () => {
      const log = await readLog();
      const report = createReport(engine, "mutation", log);
      const installation = await installationHere();
      const service = await installation.serve();
      const { lists } = await report.time("store", async () => {
        const sent = await sendViews(service.url, log.views);
        await expectSettled(service.url);
        return sent;
      });
      await report.time("read", () => expectReads(service.url, log.views));
      await stop(service);
      await report.time("export", async () => {
        const exported = await exportedLines(installation);
        expect(exported.map(withoutReceivedAt).sort()).toEqual(
          linesOf(log.views).map(withoutReceivedAt).sort(),
        );
      });
      report.say(`${lists} lists`);
    });

    test("through an import", { timeout: TIMEOUT_MS }, async () => {
      const log = await readLog();
      const report = createReport(engine, "import", log);
      const installation = await installationHere();
      const directory = createTemporaryDirectory();
      onTestFinished(() => directory.remove());
      const file = join(directory.path, "log.ndjson");
      await writeFile(file, `${linesOf(log.views).join("\n")}\n`);

      const beside = importsBesideService ? await installation.serve() : undefined;
      await report.time("store", async () => {
        const { code, stderr } = await installation.run("import", file);
        expect(code, stderr).toBe(0);
      });
      const service = beside ?? (await installation.serve());
      await expectSettled(service.url);
      await report.time("read", () => expectReads(service.url, log.views));
      await stop(service);
      await report.time("export", async () => {
        expect(await exportedLines(installation)).toEqual(linesOf(log.views).sort());
      });
      report.say();
    });
  });
}

function extentAsked(): PublicLogExtent {
  const asked = process.env.PUBLIC_LOG_ROWS;
  if (asked !== undefined && asked !== "all") throw new Error(`PUBLIC_LOG_ROWS can be "all", not "${asked}"`);
  return asked ?? "one file";
}

/** Everything that was accepted is stored, and nothing of it was refused. */
async function expectSettled(url: string): Promise<void> {
  await expect
    .poll(async () => (await query(url, PipelineDocument, {})).pipeline, { timeout: TIMEOUT_MS })
    .toMatchObject({ pending: 0, deadLetters: 0 });
}

/** All that is stored, a line each, sorted. */
async function exportedLines(installation: Installation): Promise<string[]> {
  const { code, stdout, stderr } = await installation.run("export", "-");
  expect(code, stderr).toBe(0);
  return stdout.trimEnd().split("\n").sort();
}

/** A line but for the instant that the API stamped on it, which comes last. */
const withoutReceivedAt = (line: string) => line.replace(/,"receivedAt":"[^"]*"\}$/, "}");

/** How long each part took, for a person who runs all of it. */
function createReport(engine: string, way: string, { figures }: PublicLog) {
  const parts: string[] = [];
  return {
    async time<Result>(part: string, work: () => Promise<Result>): Promise<Result> {
      const startedAtMs = performance.now();
      const result = await work();
      parts.push(`${part} ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s`);
      return result;
    },
    say(...more: readonly string[]) {
      console.info(`${engine}, ${way}: ${JSON.stringify(figures)}; ${[...more, ...parts].join(", ")}`);
    },
  };
}
