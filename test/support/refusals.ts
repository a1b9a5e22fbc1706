import { expect } from "vitest";
import type { Api, HttpAnswer } from "./api.ts";

export const RECORD_MUTATION =
  "mutation ($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }";

export const recordRequest = (input: unknown) => ({ query: RECORD_MUTATION, variables: { input } });

export const impressionOf = (postId = "p1") => ({ postId, viewedAt: new Date().toISOString() });

/** One error, with this code and status and a sentence of this pattern. */
export function expectRefusal(answer: HttpAnswer, status: number, code: string, message: RegExp): void {
  expect(answer.json.errors, answer.text).toHaveLength(1);
  const [error] = answer.json.errors ?? [];
  expect({ status: answer.status, code: error?.extensions.code, message: error?.message }).toEqual({
    status,
    code,
    message: expect.stringMatching(message),
  });
  expectNothingInternal(answer);
}

/** No message was ever put into the API's queue. */
export async function expectNothingQueued({ engine }: Api): Promise<void> {
  expect(await engine.queue.newestSequence()).toBe(0);
}

/** Only what the catalogue promises leaves the process. */
export function expectNothingInternal({ json, text }: HttpAnswer): void {
  for (const error of json.errors ?? []) {
    const known = ["code", "retryAfterMs", "cost", "costMax"];
    expect(Object.keys(error.extensions).filter((key) => !known.includes(key))).toEqual([]);
    expect(
      Object.keys(error).filter((key) => !["message", "locations", "path", "extensions"].includes(key)),
    ).toEqual([]);
  }
  expect(text).not.toMatch(/stacktrace|node_modules|\.ts:\d|sqlite|FST_|Apollo Server/i);
}
