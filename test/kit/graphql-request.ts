import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";

/** Any answer of the API. */
export interface Answer<Data> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Data | null | undefined;
  readonly errors:
    | readonly { message: string; extensions?: { code?: string; retryAfterMs?: number } }[]
    | undefined;
}

/** One GraphQL request over HTTP, as a small client would send it. Rejects only where there is no HTTP answer. */
export async function request<Data, Variables>(
  url: string,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Answer<Data>> {
  const response = await fetch(new URL("/graphql", url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as Pick<Answer<Data>, "data" | "errors">;
  return { status: response.status, headers: response.headers, data, errors };
}

/** The data of a request that must succeed. */
export async function query<Data, Variables>(
  url: string,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const { data, errors, status } = await request(url, document, variables);
  if (errors !== undefined || data == null) throw new Error(`HTTP ${status}: ${JSON.stringify(errors)}`);
  return data;
}
