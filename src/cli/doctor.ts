import type { Command } from "commander";
import { tokenSettingsFindings } from "../access/providers.ts";
import type { Config } from "../config.ts";
import { ConfigError, isLoopback } from "../config-values.ts";
import { type Finding, failed, ok, spaceFinding, warning } from "../domain/finding.ts";
import { PipelineDocument } from "../generated/operations.ts";
import { buildGraphQLSchema } from "../resolvers/schema.ts";
import { readTrustedDocuments, TrustedDocumentsError } from "../server/trusted-documents.ts";
import { createLogger } from "../telemetry/logger.ts";
import { findRunningService } from "./admin-api.ts";
import type { AdminApi, CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { terminalText } from "./terminal-text.ts";

const RESULT_WIDTH = "warning".length;
const CHECK_WIDTH = "data directory".length;

export function registerDoctor(program: Command, dependencies: CliDependencies): void {
  program
    .command("doctor")
    .description(
      "look at the configuration and at everything the service stands on, and say how to mend what is wrong",
    )
    .addHelpText(
      "after",
      "\nIt changes nothing, and may be run at any time, before the first start as well. One line a check; exit code 1\n" +
        "where one has failed. On the embedded engine it asks the running service (IMPRESSIONS_URL, or HOST and PORT).",
    )
    .action(async () => {
      for await (const finding of diagnose(dependencies)) {
        const { result, check, detail } = finding;
        process.stdout.write(
          `${result.padEnd(RESULT_WIDTH)}  ${check.padEnd(CHECK_WIDTH)}  ${terminalText(detail)}\n`,
        );
        if (result === "failed") process.exitCode = 1;
      }
      // A driver that failed to connect may keep a timer or a socket that would keep us alive.
      process.exit();
    });
}

async function* diagnose({ clock, loadConfig, diagnoseEngine }: CliDependencies): AsyncGenerator<Finding> {
  let config: Config;
  try {
    config = loadConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of error.message.split("\n")) yield failed("configuration", line);
    return;
  }
  yield* configurationFindings(config);
  if (config.tokens !== null) {
    yield* tokenSettingsFindings(config.tokens);
    const { diagnoseTokenKeys } = await import("../access/doctor.ts");
    // The doctor says by itself what it meets.
    yield await diagnoseTokenKeys(config.tokens.keys, { clock, logger: createLogger("silent") });
  }
  yield* await documentsFindings(config);
  if (config.ENGINE === "cluster") return yield* await diagnoseEngine(config, false);
  const { findings, isServedHere } = await askService(config);
  yield* findings;
  // The directory of a service on another host is not ours to look at.
  if (isServedHere || config.IMPRESSIONS_URL === undefined) yield* await diagnoseEngine(config, isServedHere);
}

/** What the settings allow and should not. */
function* configurationFindings(config: Config): Generator<Finding> {
  const check = "configuration";
  yield ok(
    check,
    config.ENGINE === "cluster" ? "ENGINE=cluster" : `ENGINE=embedded, DATA_DIR=${config.DATA_DIR}`,
  );
  if (config.AUTH === "off" && !isLoopback(config.HOST)) {
    yield warning(
      check,
      `ALLOW_INSECURE=1: every client that reaches ${config.HOST}:${config.PORT} may read and write everything; make sure that something in front checks access`,
    );
  }
  if (config.ENGINE !== "cluster") return;
  for (const { password, authority, servers } of [
    { password: "NATS_PASSWORD", authority: "NATS_TLS_CA", servers: config.NATS_SERVERS },
    { password: "SCYLLA_PASSWORD", authority: "SCYLLA_TLS_CA", servers: config.SCYLLA_CONTACT_POINTS },
  ] as const) {
    const isRemote = servers.some((server) => !isLoopback(server.slice(0, server.lastIndexOf(":"))));
    if (config[password] !== undefined && config[authority] === undefined && isRemote) {
      yield warning(check, `${password} may go over the network in the clear: set ${authority}`);
    }
  }
}

/** The operator's own list: a start refuses one that cannot be used. */
async function documentsFindings({
  TRUSTED_DOCUMENTS: mode,
  TRUSTED_DOCUMENTS_FILE: file,
}: Config): Promise<Finding[]> {
  if (file === undefined) return [];
  try {
    await readTrustedDocuments({ mode, file, schema: buildGraphQLSchema() });
    return [ok("documents", `${file} fits the schema`)];
  } catch (error) {
    if (!(error instanceof TrustedDocumentsError)) throw error;
    return [failed("documents", error.message)];
  }
}

/** What the running service says, if one runs. */
async function askService(
  config: Config,
): Promise<{ readonly findings: readonly Finding[]; readonly isServedHere: boolean }> {
  const given = config.IMPRESSIONS_URL;
  const isHere = given === undefined || isLoopback(new URL(given).hostname);
  try {
    const service = await findRunningService(config);
    if (service === null) return { findings: [ok("service", "none runs here")], isServedHere: false };
    return { findings: await pipelineFindings(service), isServedHere: isHere };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { findings: [failed("service", error.message)], isServedHere: false };
  }
}

async function pipelineFindings(service: AdminApi): Promise<Finding[]> {
  const { pipeline } = await service.request(PipelineDocument, {});
  const { workers, queueBytes, queueLimitBytes } = pipeline;
  const paused = workers.filter(({ state }) => state === "PAUSED").length;
  const log = "its log and /readyz say why";
  return [
    ok("service", `runs, ENGINE=${pipeline.engine.toLowerCase()}`),
    pipeline.queueHealthy ? ok("queue", "healthy") : failed("queue", `does not work: ${log}`),
    spaceFinding("queue space", queueBytes, queueLimitBytes, "raise QUEUE_MAX_BYTES, if the disk has room"),
    pipeline.storeHealthy ? ok("store", "healthy") : failed("store", `does not work: ${log}`),
    workers.length === 0
      ? failed("workers", "none runs: what is queued is not stored; restart the service")
      : paused > 0
        ? warning("workers", `${paused} of ${workers.length} wait for the store: ${log}`)
        : ok("workers", `${workers.length} run`),
  ];
}
