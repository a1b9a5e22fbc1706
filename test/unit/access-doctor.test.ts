import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { diagnoseTokenKeys } from "../../src/access/doctor.ts";
import { systemClock } from "../../src/domain/time.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { createTokenIssuer } from "../kit/tokens.ts";

const answers = new Map<string, unknown>([
  ["/none", { keys: [] }],
  ["/other", {}],
]);
const provider = createServer(({ url = "" }, response) => {
  response.statusCode = answers.has(url) ? 200 : 404;
  response.end(JSON.stringify(answers.get(url)));
});

beforeAll(async () => {
  answers.set("/good", { keys: [await (await createTokenIssuer()).jwk()] });
  await once(provider.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => provider.close());

test.each([
  ["/good", /^ok: 1 at /],
  ["/none", /^failed: .* holds no key: correct JWT_JWKS_URL$/],
  ["/other", /^failed: .* holds no key set: correct JWT_JWKS_URL$/],
  ["/nothing", /^failed: .* cannot be fetched \(status 404\): correct JWT_JWKS_URL/],
  ["http://127.0.0.1:1", /^failed: .* cannot be fetched \(.+\): correct JWT_JWKS_URL/],
])("the doctor says of a key set at %s what is wrong", async (address, said) => {
  const url = new URL(address, `http://127.0.0.1:${(provider.address() as AddressInfo).port}`).href;
  const { result, check, detail } = await diagnoseTokenKeys(
    { kind: "jwks", url },
    { clock: systemClock, logger: createLogger("silent") },
  );
  expect(check).toBe("token keys");
  expect(`${result}: ${detail}`).toMatch(said);
});
