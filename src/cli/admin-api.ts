import { type DocumentNode, type ExecutionResult, print } from "graphql";
import type { Config } from "../config.ts";
import type { AdminApi, CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";

const REQUEST_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 2_000;

/**
 * Reaches the admin API: at IMPRESSIONS_URL if that is set, else at the service that runs on HOST and PORT, else by
 * opening the engine in this process.
 */
export async function connectAdminApi(deps: CliDependencies, config: Config): Promise<AdminApi> {
  if (config.IMPRESSIONS_URL !== undefined)
    return httpAdminApi(config.IMPRESSIONS_URL, config.IMPRESSIONS_TOKEN);
  const url = `http://${config.HOST.includes(":") ? `[${config.HOST}]` : config.HOST}:${config.PORT}`;
  return (await answers(url)) ? httpAdminApi(url, config.IMPRESSIONS_TOKEN) : deps.openLocalAdmin(config);
}

/** @param baseUrl where the service listens, without /graphql. */
function httpAdminApi(baseUrl: string, token: string | undefined): AdminApi {
  const endpoint = new URL("/graphql", baseUrl);
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
        errors?: { message: string }[];
      };
      failOnErrors(answer.errors);
      if (answer.data === undefined)
        throw new CommandError(`${endpoint} is not an Impressions API (${response.status})`);
      // The document was generated from the schema that the API serves.
      return answer.data as never;
    },
    close: () => Promise.resolve(),
  };
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

function failOnErrors(errors: readonly { readonly message: string }[] | undefined): void {
  if (errors !== undefined) throw new CommandError(errors.map(({ message }) => message).join("; "));
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(new URL("/healthz", url), { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })).ok;
  } catch {
    return false;
  }
}
