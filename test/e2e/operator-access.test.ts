import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand, type ServiceProcess } from "../kit/service-process.ts";
import { AUDIENCE, ISSUER, seconds, signWith } from "../kit/tokens.ts";
import { createEmbeddedInstallation, type EmbeddedInstallation } from "../support/embedded-installation.ts";

/** Operator commands against the built service that asks for tokens. */

const SECRET = "a secret of thirty-two bytes, at least";

let installation: EmbeddedInstallation;
let service: ServiceProcess;

beforeAll(async () => {
  installation = createEmbeddedInstallation({
    PUBLISH_TIMEOUT_MS: "500",
    AUTH: "jwt",
    JWT_SECRET: SECRET,
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
  });
  service = await installation.start();
});
afterAll(() => installation.dispose());

/** As on the operator's own machine: it knows where the service is, and nothing of its keys. */
const run = (token: string | undefined, ...parameters: string[]) =>
  runCommand(
    { IMPRESSIONS_URL: service.url, ...(token === undefined ? {} : { IMPRESSIONS_TOKEN: token }) },
    ...parameters,
  );
const token = (claims: Record<string, unknown>) => signWith(SECRET, "HS256", claims);

test("with an admin's token they do their work", async () => {
  const admin = await token({ scope: "impressions:admin" });
  const recorded = await fetch(new URL("/graphql", service.url), {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${admin}` },
    body: JSON.stringify({
      query: `mutation { recordImpressions(input: { userId: "maria", impressions: [
        { postId: "p1", viewedAt: "${new Date().toISOString()}" }, { postId: "undefined", viewedAt: "${new Date().toISOString()}" }
      ] }) { accepted } }`,
    }),
  });
  expect(await recorded.json()).toEqual({ data: { recordImpressions: { accepted: 2 } } });
  await expect
    .poll(async () => (await run(admin, "dead-letters", "list")).stdout, { timeout: 60_000, interval: 500 })
    .toContain("INVALID_POST_ID");
  expect(await run(admin, "dead-letters", "replay", "--all", "--dry-run")).toMatchObject({ code: 0 });
  const erased = await run(admin, "erase-user", "maria", "--yes", "--json");
  expect(erased.code).toBe(0);
  expect(JSON.parse(erased.stdout)).toMatchObject({ status: "DONE", rowsDeleted: 1 });
});

test.each<[string, () => Promise<string | undefined>, RegExp]>([
  ["no token", async () => undefined, /asks for a token.*set IMPRESSIONS_TOKEN.*impressions:admin/],
  [
    "a token that has expired",
    () => token({ scope: "impressions:admin", exp: seconds(-120) }),
    /refuses IMPRESSIONS_TOKEN: The token has expired/,
  ],
  [
    "a token of another key",
    () => signWith(createHmac("sha256", "x").digest("hex"), "HS256", { scope: "impressions:admin" }),
    /refuses IMPRESSIONS_TOKEN: The token is not valid here/,
  ],
  [
    "an app's token",
    () => token({ sub: "maria", scope: "impressions:write impressions:read" }),
    /IMPRESSIONS_TOKEN must be a token with the scope impressions:admin/,
  ],
])("with %s they say what is missing, in one line, and exit with 1", async (_, make, message) => {
  const made = await make();
  for (const command of [
    ["dead-letters", "list"],
    ["dead-letters", "discard", "--all", "--yes"],
    ["erase-user", "josef", "--yes"],
  ]) {
    const { code, stdout, stderr } = await run(made, ...command);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(message);
    expect(stderr.trim()).not.toContain("\n");
    if (made !== undefined) expect(stderr).not.toContain(made);
  }
});
