import { expect, test } from "vitest";
import { createVerifiedTokens, VERIFIED_TOKENS_MAX } from "../../src/access/verified-tokens.ts";
import { ANYBODY } from "../../src/domain/caller.ts";

test("a bounded number of verified tokens is remembered; the least recently used one goes first", () => {
  const verified = createVerifiedTokens({ nowMs: () => 0, monotonicMs: () => 0 });
  for (let token = 0; token <= VERIFIED_TOKENS_MAX; token++) {
    verified.add(`token-${token}`, ANYBODY, 1);
    if (token === 10) verified.find("token-0");
  }
  expect(["token-0", "token-1", "token-2"].map((token) => verified.find(token))).toEqual([
    ANYBODY,
    null,
    ANYBODY,
  ]);
});
