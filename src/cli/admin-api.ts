import { type DocumentNode, type ExecutionResult, print } from "graphql";
import type { Config } from "../config.ts";
import { isLoopback } from "../config-values.ts";
import { EngineInUseError } from "../ports/errors.ts";
import type { AdminApi, CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";

const REQUEST_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 2_000;

/**
 * Reaches the admin API: at IMPRESSIONS_URL if that is set, else at the service that runs on HOST and PORT, else by
 * opening the engine in this process.
 *
 * @throws CommandError IMPRESSIONS_URL cannot be used, or nothing answers there.
 * @throws EngineStartError the engine cannot be opened. Where another process has it, that is most likely the service, at
 * another port than this process was told: the message says how to ask it.
 */
export async function connectAdminApi(
  deps: Pick<CliDependencies, "openLocalAdmin">,
  config: Config,
): Promise<AdminApi> {
  const service = await findRunningService(config);
  if (service !== null) return service;
  try {
    return await deps.openLocalAdmin(config);
  } catch (error) {
    if (!(error instanceof EngineInUseError)) throw error;
    throw new EngineInUseError(
      `no service answers at ${urlOfListener(config)} (where it listens elsewhere, set PORT or IMPRESSIONS_URL), ` +
        `and ${error.message}`,
      { cause: error },
    );
  }
}

/**
 * The service at IMPRESSIONS_URL if that is set, else the one that runs on HOST and PORT; null where none runs.
 *
 * The token goes where IMPRESSIONS_URL says. Whatever answers on HOST and PORT gets it only on this machine: no
 * setting names that address as one to trust.
 *
 * @throws CommandError IMPRESSIONS_URL cannot be used.
 */
export async function findRunningService(config: Config): Promise<AdminApi | null> {
  const { IMPRESSIONS_URL: given, IMPRESSIONS_TOKEN: token } = config;
  if (given !== undefined) return httpAdminApi(baseUrlOf(given), token);
  const url = urlOfListener(config);
  if (!(await answers(url))) return null;
  return httpAdminApi(url, isLoopback(reachableHostOf(config)) ? token : undefined);
}

function urlOfListener(config: Config): URL {
  const host = reachableHostOf(config);
  return new URL(`http://${host.includes(":") ? `[${host}]` : host}:${config.PORT}/`);
}

function reachableHostOf({ HOST }: Config): string {
  return PLACES_OF_ALL_ADDRESSES[HOST] ?? HOST;
}

/** Who listens on all addresses is reached on this machine's own. */
const PLACES_OF_ALL_ADDRESSES: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** A path stays: behind a proxy the service may be at https://example.org/impressions/. */
function baseUrlOf(given: string): URL {
  const url = new URL(given);
  if (url.username !== "" || url.password !== "") {
    throw new CommandError(
      "IMPRESSIONS_URL holds a user or a password, which would end up in logs: put a token into IMPRESSIONS_TOKEN",
    );
  }
  url.search = "";
  url.hash = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** @param baseUrl where the service is, without graphql, with a slash at its end. */
function httpAdminApi(baseUrl: URL, token: string | undefined): AdminApi {
  const endpoint = new URL("graphql", baseUrl);
  return {
    async request(document, variables) {
      const response = await fetch(endpoint, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ query: print(document), variables }),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      }).catch((error: unknown) => {
        throw new CommandError(`no answer from ${endpoint}: is the service running? (IMPRESSIONS_URL)`, {
          cause: error,
        });
      });
      const answer = (await response.json().catch(() => ({}))) as {
        data?: unknown;
        errors?: ApiErrors;
      };
      failOnRefusedToken(answer.errors, endpoint, token);
      failOnErrors(answer.errors);
      if (answer.data === undefined)
        throw new CommandError(
          `${endpoint} is not an Impressions API (${response.status}); a worker is none: set IMPRESSIONS_URL to an API`,
        );
      // The document was generated from the schema that the API serves.
      return answer.data as never;
    },
    close: () => Promise.resolve(),
  };
}

type ApiErrors = readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];

/** @throws CommandError that says which token the service wants. */
function failOnRefusedToken(errors: ApiErrors = [], endpoint: URL, token: string | undefined): void {
  for (const { message, extensions } of errors) {
    if (extensions?.code === "FORBIDDEN")
      throw new CommandError(
        `${endpoint}: IMPRESSIONS_TOKEN must be a token with the scope impressions:admin`,
      );
    if (extensions?.code !== "UNAUTHENTICATED") continue;
    throw new CommandError(
      token === undefined
        ? `${endpoint} asks for a token, and none was sent: set IMPRESSIONS_TOKEN to one with the scope impressions:admin, ` +
            "and IMPRESSIONS_URL if the service is not on this machine"
        : `${endpoint} refuses IMPRESSIONS_TOKEN: ${message}`,
    );
  }
}

/** The same API without HTTP. */
export function localAdminApi(local: {
  execute(document: DocumentNode, variables: Record<string, unknown>): Promise<ExecutionResult>;
  close(): Promise<void>;
}): AdminApi {
  return {
    async request(document, variables) {
      const { data, errors } = await local.execute(document, variables);
      failOnErrors(errors);
      return data as never;
    },
    close: local.close,
  };
}

function failOnErrors(errors: ApiErrors | ExecutionResult["errors"]): void {
  if (errors !== undefined) throw new CommandError(errors.map(({ message }) => message).join("; "));
}

async function answers(baseUrl: URL): Promise<boolean> {
  try {
    return (await fetch(new URL("healthz", baseUrl), { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })).ok;
  } catch {
    return false;
  }
}
