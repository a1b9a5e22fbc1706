import type { HttpAnswer, HttpRequest, Platform } from "./platform.ts";

/** The part of `fetch` that the SDK uses, so that an app may bring its own. */
export type Fetch = (
  url: string,
  init: {
    method: "POST";
    body: string;
    headers: Record<string, string>;
    keepalive?: boolean;
    signal?: AbortSignal;
  },
) => Promise<{
  readonly status: number;
  /** Both appear in the message of a failure; not every fetch has them. */
  readonly redirected?: boolean;
  readonly url?: string;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
}>;

/** Makes a `Platform.post` of a `fetch`. `keepalive`: the request outlives the page. */
export function fetchPost(fetch: Fetch, endpoint: string, keepalive = false): Platform["post"] {
  return async ({ body, headers, signal }: HttpRequest): Promise<HttpAnswer> => {
    try {
      const response = await fetch(endpoint, {
        method: "POST",
        body,
        headers: { ...headers },
        ...(keepalive ? { keepalive } : {}),
        ...(signal === undefined ? {} : { signal }),
      });
      const text = await response.text();
      return {
        status: response.status,
        retryAfter: response.headers.get("retry-after"),
        text,
        ...(response.redirected && response.url !== undefined ? { redirectedTo: response.url } : {}),
      };
    } catch (error) {
      throw new Error(`no answer from ${endpoint}: ${String(error)}${reasonOf(error)}`);
    }
  };
}

/** Node hides the reason (a refused connection, a name that does not resolve) in the cause of a "fetch failed". */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { message?: string; code?: string } } | undefined)?.cause;
  // A name with several addresses gives an error for each of them, and in common only a code.
  const reason = cause?.message || cause?.code;
  return reason ? ` (${reason})` : "";
}
