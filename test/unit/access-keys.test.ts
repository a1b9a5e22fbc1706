import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { exportPKCS8, exportSPKI, generateKeyPair, importPKCS8 } from "jose";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Authenticator, createAuthenticator } from "../../src/access/authenticator.ts";
import {
  FETCH_INTERVAL_MS,
  FETCHES_IN_RESERVE,
  KEYS_MS_MAX,
  REFRESH_MS,
} from "../../src/access/remote-keys.ts";
import type { KeySource } from "../../src/access/token-keys.ts";
import { VERIFIED_MS_MAX } from "../../src/access/verified-tokens.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { AUDIENCE, createTokenIssuer, ISSUER, seconds, signWith, unsignedToken } from "../kit/tokens.ts";

/** The tokens that each kind of key verifies, and how keys at a URL change. The clock is the test's. */

const SECRET = "a secret of thirty-two bytes, at least";
const GOOD = { sub: "maria", scope: "impressions:read" };

async function open(keys: KeySource) {
  const time = { ms: 0 };
  const startMs = Date.now();
  const clock = { nowMs: () => startMs + time.ms, monotonicMs: () => time.ms };
  const claims = { user: "sub", audience: "aud", scopes: ["scope"], scopePrefix: "" };
  const settings = { keys, issuer: ISSUER, audiences: [AUDIENCE], claims };
  const log: string[] = [];
  const logger = createLogger("debug", { destination: { write: (line) => void log.push(line) } });
  const deps = { clock, random: () => 0, logger };
  const authenticator = await createAuthenticator(settings, deps);
  return { authenticator, time, log };
}

/** "ok", or the code of the refusal. */
const outcomeOf = (authenticator: Authenticator, token: string): Promise<unknown> =>
  authenticator.authenticate(`Bearer ${token}`).then(
    () => "ok",
    (error) => error.extensions.code,
  );

/** Serves a key set that the test changes, and counts how often it is asked for. */
async function startProvider(answer: (response: ServerResponse, path?: string) => void) {
  const provider = { asked: 0, answer, url: "" };
  const server = createServer((request, response) => {
    provider.asked++;
    provider.answer(response, request.url);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  return provider;
}
const keySet =
  (...keys: readonly object[]) =>
  (response: ServerResponse) =>
    response.end(JSON.stringify({ keys }));
const failing = (response: ServerResponse) => response.writeHead(500).end();

describe("a public key", () => {
  test.each([
    ["RS256", ["RS256", "PS256", "RS512"]],
    ["ES256", ["ES256"]],
    ["EdDSA", ["EdDSA"]],
  ] as const)("made for %s verifies %j and no other way of signing", async (made, accepted) => {
    const { privateKey, publicKey } = await generateKeyPair(made, { extractable: true });
    const pem = await exportSPKI(publicKey);
    const { authenticator } = await open({ kind: "publicKey", pemOrPath: pem });
    for (const alg of accepted) {
      const key = await importPKCS8(await exportPKCS8(privateKey), alg);
      expect(await outcomeOf(authenticator, await signWith(key, alg, GOOD)), alg).toBe("ok");
    }
    for (const secret of [pem, pem.trim(), `${pem}\n`])
      expect(await outcomeOf(authenticator, await signWith(secret, "HS256", GOOD))).toBe("UNAUTHENTICATED");
    for (const other of ["RS256", "ES256", "EdDSA"] as const) {
      const stranger = await createTokenIssuer("key-1", other);
      expect(await outcomeOf(authenticator, await stranger.sign(GOOD)), other).toBe("UNAUTHENTICATED");
    }
    expect(await outcomeOf(authenticator, unsignedToken(GOOD))).toBe("UNAUTHENTICATED");
  });

  test("may be a file, or a text with \\n for its line ends", async () => {
    const issuer = await createTokenIssuer();
    const directory = mkdtempSync(join(tmpdir(), "impressions-keys-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, "key.pem");
    writeFileSync(path, issuer.publicPem);
    for (const pemOrPath of [path, issuer.publicPem.trim().replaceAll("\n", "\\n")]) {
      const { authenticator } = await open({ kind: "publicKey", pemOrPath });
      expect(await outcomeOf(authenticator, await issuer.sign(GOOD))).toBe("ok");
    }
  });

  test("is refused with what it must be, and never repeated", async () => {
    const { privateKey } = await generateKeyPair("RS256", { extractable: true });
    const privatePem = await exportPKCS8(privateKey);
    const short = generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey;
    const refused: readonly (readonly [string, RegExp])[] = [
      ["/nowhere/key.pem", /^JWT_PUBLIC_KEY=\/nowhere\/key.pem: cannot be read \(ENOENT\)/],
      ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", /public key or a certificate in PEM/],
      [privatePem, /holds a private key/],
      [`"${privatePem}"`, /holds a private key/],
      [short.export({ type: "spki", format: "pem" }).toString(), /at least 2048 bits/],
    ];
    for (const [pemOrPath, message] of refused) {
      const failure = (await open({ kind: "publicKey", pemOrPath }).catch((error) => error)) as Error;
      expect(failure.name).toBe("TokenKeyError");
      expect(failure.message).toMatch(message);
      // A line of a key's text.
      expect(failure.message).not.toMatch(/[A-Za-z0-9+/=]{64}/);
    }
  });
});

test("a secret verifies HS256 alone", async () => {
  const { authenticator } = await open({ kind: "secret", secret: SECRET });
  expect(await outcomeOf(authenticator, await signWith(SECRET, "HS256", GOOD))).toBe("ok");
  const long = SECRET.repeat(2);
  const { authenticator: other } = await open({ kind: "secret", secret: long });
  expect(await outcomeOf(other, await signWith(long, "HS512", GOOD))).toBe("UNAUTHENTICATED");
  const issuer = await createTokenIssuer();
  expect(await outcomeOf(authenticator, await issuer.sign(GOOD))).toBe("UNAUTHENTICATED");
  expect(await outcomeOf(authenticator, unsignedToken(GOOD))).toBe("UNAUTHENTICATED");
});

test("the log says why a token was refused, and neither the token nor whose it is", async () => {
  const { authenticator, log } = await open({ kind: "secret", secret: SECRET });
  const tokens = await Promise.all(
    [{ iss: "https://else.example" }, { exp: seconds(-120) }, { aud: "billing" }].map((claims) =>
      signWith(SECRET, "HS256", { ...GOOD, sub: "a-user-id", ...claims }),
    ),
  );
  for (const token of tokens) expect(await outcomeOf(authenticator, token)).toBe("UNAUTHENTICATED");
  expect(log.map((line) => (JSON.parse(line) as { err: { message: string } }).err.message)).toEqual([
    expect.stringContaining('"iss"'),
    expect.stringContaining('"exp"'),
    expect.stringContaining('"aud"'),
  ]);
  for (const secret of ["a-user-id", SECRET, ...tokens]) expect(log.join()).not.toContain(secret);
});

test("a token that was verified is known until its end, half a minute of tolerance included", async () => {
  const { authenticator, time } = await open({ kind: "secret", secret: SECRET });
  const header = `Bearer ${await signWith(SECRET, "HS256", { ...GOOD, exp: seconds(60) })}`;
  expect(authenticator.known(header)).toBeNull();
  const caller = await authenticator.authenticate(header);
  expect(caller).toEqual({ subject: "maria", scopes: new Set(["impressions:read"]), limited: true });
  time.ms = 85_000;
  expect(authenticator.known(header)).toBe(caller);
  await expect(authenticator.authenticate(header)).resolves.toEqual(caller);
  time.ms = 92_000;
  expect(authenticator.known(header)).toBeNull();
  await expect(authenticator.authenticate(header)).rejects.toMatchObject({
    message: "The token has expired. Get a fresh one.",
  });
  // A refused one is not remembered, and neither is a good one for longer than it says.
  expect(authenticator.known(header)).toBeNull();
  const long = `Bearer ${await signWith(SECRET, "HS256", { ...GOOD, exp: seconds(7_200) })}`;
  await authenticator.authenticate(long);
  time.ms += VERIFIED_MS_MAX;
  expect(authenticator.known(long)).toBeNull();
});

describe("keys at a URL", () => {
  test("are fetched once, and again when a token names a new one", async () => {
    const [first, second] = [await createTokenIssuer("first"), await createTokenIssuer("second", "ES256")];
    const provider = await startProvider(keySet(await first.jwk()));
    const { authenticator, time } = await open({ kind: "jwks", url: provider.url });
    const tokens = await Promise.all([1, 2, 3, 4].map((jti) => first.sign({ ...GOOD, jti: String(jti) })));
    expect(await Promise.all(tokens.map((token) => outcomeOf(authenticator, token)))).toEqual(
      Array(4).fill("ok"),
    );
    expect(provider.asked).toBe(1);

    // Rotation: the provider signs with a new key.
    provider.answer = keySet(await first.jwk(), await second.jwk());
    expect(await outcomeOf(authenticator, await second.sign(GOOD))).toBe("ok");
    expect(provider.asked).toBe(2);

    // The old key is withdrawn: noticed when the set grows old.
    provider.answer = keySet(await second.jwk());
    time.ms += REFRESH_MS + 1;
    expect(await outcomeOf(authenticator, await second.sign({ ...GOOD, jti: "later" }))).toBe("ok");
    expect(await outcomeOf(authenticator, await first.sign({ ...GOOD, jti: "later" }))).toBe(
      "UNAUTHENTICATED",
    );
    // Once because the set was old, and once because its key may be newer than that set.
    expect(provider.asked).toBe(4);
  });

  describe("that are rotated while strangers make key ids up", () => {
    async function rotation() {
      const [first, second] = [
        await createTokenIssuer("first", "ES256"),
        await createTokenIssuer("second", "ES256"),
      ];
      const old = keySet(await first.jwk());
      const rotated = keySet(await first.jwk(), await second.jwk());
      const provider = await startProvider(old);
      const opened = await open({ kind: "jwks", url: provider.url });
      const good = await first.sign(GOOD);
      expect(await outcomeOf(opened.authenticator, good)).toBe("ok");
      const [, ...rest] = good.split(".");
      /** Named so, without a signature: the key is looked up before the signature is checked. */
      const madeUp = (kid: string) =>
        [Buffer.from(JSON.stringify({ alg: "ES256", kid })).toString("base64url"), ...rest].join(".");
      return { ...opened, provider, old, rotated, madeUp, good: await second.sign(GOOD) };
    }

    test("the new key's tokens are taken at once", async () => {
      const { authenticator, provider, rotated, madeUp, good } = await rotation();
      for (let kid = 1; kid < FETCHES_IN_RESERVE; kid++)
        expect(await outcomeOf(authenticator, madeUp(`kid-${kid}`))).toBe("UNAUTHENTICATED");
      provider.answer = rotated;
      expect(await outcomeOf(authenticator, good)).toBe("ok");
      expect(provider.asked).toBe(1 + FETCHES_IN_RESERVE);
    });

    test("a stranger that keeps coming with one id uses up nothing", async () => {
      const { authenticator, provider, rotated, madeUp, good, time } = await rotation();
      for (let request = 0; request < 3 * FETCHES_IN_RESERVE; request++) {
        expect(await outcomeOf(authenticator, madeUp("stage"))).toBe("UNAUTHENTICATED");
        time.ms += FETCH_INTERVAL_MS / 5;
      }
      expect(provider.asked).toBe(1 + (3 * FETCHES_IN_RESERVE) / 5);
      provider.answer = rotated;
      expect(await outcomeOf(authenticator, good)).toBe("ok");
    });

    test("beyond the reserve a token may be good for all we know: asked to come again, never refused", async () => {
      const { authenticator, provider, rotated, madeUp, good, time, log } = await rotation();
      const outcomes = new Set<unknown>();
      for (let kid = 0; kid < 50; kid++) outcomes.add(await outcomeOf(authenticator, madeUp(`kid-${kid}`)));
      expect(outcomes).toEqual(new Set(["UNAUTHENTICATED", "AUTH_UNAVAILABLE"]));
      expect(provider.asked).toBe(1 + FETCHES_IN_RESERVE);
      provider.answer = rotated;
      expect(await outcomeOf(authenticator, good)).toBe("AUTH_UNAVAILABLE");
      expect(log.filter((line) => line.includes("name keys that are not in the key set"))).toHaveLength(1);
      // After the fetch for any token the key is there.
      time.ms += FETCH_INTERVAL_MS;
      expect(await outcomeOf(authenticator, madeUp("one more"))).toBe("UNAUTHENTICATED");
      expect(await outcomeOf(authenticator, good)).toBe("ok");
      expect(provider.asked).toBe(2 + FETCHES_IN_RESERVE);
    });

    test("a set that was asked for before the rotation proves nothing about a token that came after it", async () => {
      const { authenticator, provider, old, rotated, madeUp, good } = await rotation();
      const asked = Promise.withResolvers<ServerResponse>();
      provider.answer = asked.resolve;
      const stranger = outcomeOf(authenticator, madeUp("kid"));
      const slow = await asked.promise;
      provider.answer = rotated;
      const honest = outcomeOf(authenticator, good);
      old(slow);
      expect(await stranger).toBe("UNAUTHENTICATED");
      expect(await honest).toBe("ok");
    });

    test("at any pace of strangers: no honest token is refused, and the provider is asked so often at the most", async () => {
      const step = fc.record({
        waitMs: fc.integer({ min: 0, max: 7_000 }),
        kid: fc.integer({ min: 0, max: 40 }),
      });
      const steps = fc.array(step, { minLength: 1, maxLength: 30 });
      await fc.assert(
        fc.asyncProperty(steps, steps, async (before, after) => {
          const { authenticator, provider, rotated, madeUp, good, time } = await rotation();
          const strangers = async (steps: readonly { waitMs: number; kid: number }[]) => {
            for (const { waitMs, kid } of steps) {
              time.ms += waitMs;
              expect(await outcomeOf(authenticator, madeUp(`kid-${kid}`))).not.toBe("ok");
            }
          };
          await strangers(before);
          provider.answer = rotated;
          expect(await outcomeOf(authenticator, good)).not.toBe("UNAUTHENTICATED");
          await strangers(after);
          time.ms += FETCH_INTERVAL_MS;
          expect(await outcomeOf(authenticator, good)).toBe("ok");
          expect(provider.asked).toBeLessThanOrEqual(1 + FETCHES_IN_RESERVE + time.ms / FETCH_INTERVAL_MS);
        }),
        { numRuns: 30 },
      );
    });
  });

  test("that cannot be fetched are an error that passes, not a bad token", async () => {
    const issuer = await createTokenIssuer();
    const provider = await startProvider(failing);
    const { authenticator, time } = await open({ kind: "jwks", url: provider.url });
    const token = await issuer.sign(GOOD);
    await expect(authenticator.authenticate(`Bearer ${token}`)).rejects.toMatchObject({
      extensions: { code: "AUTH_UNAVAILABLE", retryAfterMs: FETCH_INTERVAL_MS },
    });
    // Not asked again for each request.
    expect(await outcomeOf(authenticator, token)).toBe("AUTH_UNAVAILABLE");
    expect(provider.asked).toBe(1);
    const good = keySet(await issuer.jwk());
    const answers: readonly ((response: ServerResponse, path?: string) => void)[] = [
      (response) => response.end("not JSON"),
      (response) => response.end('{"keys":"none"}'),
      (response, path) =>
        path === "/elsewhere" ? good(response) : response.writeHead(302, { location: "/elsewhere" }).end(),
      (response) => response.end(`{"keys":[],"padding":"${"x".repeat(300 * 1_024)}"}`),
      (response) => response.destroy(),
    ];
    for (const answer of answers) {
      provider.answer = answer;
      time.ms += FETCH_INTERVAL_MS;
      expect(await outcomeOf(authenticator, token)).toBe("AUTH_UNAVAILABLE");
    }
    provider.answer = good;
    time.ms += FETCH_INTERVAL_MS;
    expect(await outcomeOf(authenticator, token)).toBe("ok");
  });

  test("are used on while they cannot be fetched anew, for a day", async () => {
    const issuer = await createTokenIssuer();
    const provider = await startProvider(keySet(await issuer.jwk()));
    const { authenticator, time } = await open({ kind: "jwks", url: provider.url });
    const tokenAt = (jti: string) => issuer.sign({ ...GOOD, jti, exp: seconds(2 * 86_400) });
    expect(await outcomeOf(authenticator, await tokenAt("first"))).toBe("ok");
    provider.answer = failing;
    time.ms += KEYS_MS_MAX - FETCH_INTERVAL_MS;
    expect(await outcomeOf(authenticator, await tokenAt("a day later, nearly"))).toBe("ok");
    expect(provider.asked).toBe(2);
    // A key that is not among them may be new, which cannot be checked now.
    const unknown = await createTokenIssuer("unknown");
    expect(await outcomeOf(authenticator, await unknown.sign({ ...GOOD, exp: seconds(2 * 86_400) }))).toBe(
      "AUTH_UNAVAILABLE",
    );
    // The next tokens don't wait for a provider that hangs.
    const hanging = Promise.withResolvers<ServerResponse>();
    provider.answer = hanging.resolve;
    time.ms += FETCH_INTERVAL_MS;
    expect(await outcomeOf(authenticator, await tokenAt("while it hangs"))).toBe("ok");
    const stillHanging = await hanging.promise;
    expect(stillHanging.destroyed).toBe(false);
    stillHanging.destroy();
    time.ms += FETCH_INTERVAL_MS;
    expect(await outcomeOf(authenticator, await tokenAt("later still"))).toBe("AUTH_UNAVAILABLE");
  });

  test("never verify with a secret, whatever the set and the token say", async () => {
    const issuer = await createTokenIssuer();
    const k = Buffer.from(SECRET).toString("base64url");
    const provider = await startProvider(
      keySet(await issuer.jwk(), { kty: "oct", k, kid: "secret", alg: "HS256" }),
    );
    const { authenticator } = await open({ kind: "jwks", url: provider.url });
    expect(await outcomeOf(authenticator, await signWith(SECRET, "HS256", GOOD, "secret"))).toBe(
      "UNAUTHENTICATED",
    );
    expect(await outcomeOf(authenticator, await signWith(issuer.publicPem, "HS256", GOOD))).toBe(
      "UNAUTHENTICATED",
    );
    expect(await outcomeOf(authenticator, unsignedToken(GOOD))).toBe("UNAUTHENTICATED");
    expect(await outcomeOf(authenticator, await issuer.sign(GOOD))).toBe("ok");
  });
});
