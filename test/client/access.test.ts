import { expect, onTestFinished, test } from "vitest";
import { createImpressions, memoryStorage, type NodeOptions } from "../../client/src/node.ts";
import { AUDIENCE, ISSUER, seconds, signWith } from "../kit/tokens.ts";
import { type Api, type ApiOptions, startApi } from "../support/api.ts";

/** The SDK against the real API where tokens are asked for and rates are limited. */

const WAIT = { timeout: 60_000, interval: 50 };
const SECRET = "a secret of thirty-two bytes, at least";
const JWT = { AUTH: "jwt", JWT_SECRET: SECRET, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE };
const USER = "maria";
const WRITE = "impressions:write";
const token = (claims: Record<string, unknown>) =>
  signWith(SECRET, "HS256", { sub: USER, scope: WRITE, ...claims });

async function start({ environment, ...more }: ApiOptions): Promise<Api> {
  const api = await startApi({ environment: { ...JWT, ...environment }, ...more });
  onTestFinished(() => api.stop());
  return api;
}

function startApp(api: Api, options: Partial<NodeOptions>) {
  const errors: { code: string; retryAfterMs?: number }[] = [];
  // Of an earlier run, which has learned that the clock is right: no single view goes first.
  const storage = memoryStorage();
  void storage.set("impressions-clock", "0");
  const impressions = createImpressions({
    storage,
    endpoint: `${api.url}/graphql`,
    onError: (error) => errors.push(error),
    ...options,
  } as NodeOptions);
  onTestFinished(async () => void (await impressions.close()));
  return { impressions, errors };
}

function view(app: ReturnType<typeof startApp>, count: number, prefix = "post"): void {
  for (let index = 0; index < count; index++) app.impressions.viewed(`${prefix}-${index}`);
}

/** Whose views lie in the queue, and how many. */
async function queued(api: Api): Promise<Record<string, number>> {
  const users: Record<string, number> = {};
  const deliveries = await api.engine.queue.pull({
    maxMessages: 1_000,
    maxBytes: 50_000_000,
    waitMs: 10,
    signal: new AbortController().signal,
  });
  for (const { body } of deliveries) {
    const { submissions } = JSON.parse(Buffer.from(body).toString()) as {
      submissions: { userId: string; impressions: unknown[] }[];
    };
    for (const { userId, impressions } of submissions)
      users[userId] = (users[userId] ?? 0) + impressions.length;
  }
  return users;
}

test("a token that has expired is changed for a fresh one, and the token says whose views these are", async () => {
  const api = await start({});
  const asked: boolean[] = [];
  const app = startApp(api, {
    getToken: (refused) => {
      asked.push(refused);
      return token(refused ? {} : { exp: seconds(-120) });
    },
  });
  view(app, 11);
  await expect
    .poll(() => app.impressions.status(), WAIT)
    .toEqual({ waiting: 0, acknowledged: 11, dropped: 0 });
  expect([asked, app.errors]).toEqual([[false, true], []]);
  expect(await queued(api)).toEqual({ [USER]: 11 });
});

test("a token without the scope, or of another user, costs no view", async () => {
  const api = await start({});
  let claims: Record<string, unknown> = { scope: "openid" };
  const app = startApp(api, { userId: USER, getToken: () => token(claims) });
  view(app, 11);
  await expect.poll(() => app.errors.map(({ code }) => code), WAIT).toEqual(["FORBIDDEN"]);
  claims = { sub: "josef" };
  await app.impressions.flush();
  expect(app.errors.map(({ code }) => code)).toEqual(["FORBIDDEN", "FORBIDDEN"]);
  expect(app.impressions.status()).toEqual({ waiting: 11, acknowledged: 0, dropped: 0 });
  claims = {};
  expect(await app.impressions.flush()).toEqual({ waiting: 0, acknowledged: 11, dropped: 0 });
  expect(await queued(api)).toEqual({ [USER]: 11 });
});

test("RATE_LIMITED: the views wait for as long as they are told, and then arrive", async () => {
  const time = { ms: 0 };
  const api = await start({
    clock: { nowMs: () => Date.now(), monotonicMs: () => time.ms },
    environment: { IMPRESSIONS_PER_MINUTE_MAX: "3000" },
  });
  const app = startApp(api, { getToken: () => token({}) });
  view(app, 3_050);
  await expect.poll(() => app.errors.map(({ code }) => code), WAIT).toEqual(["RATE_LIMITED"]);
  expect(app.errors[0]?.retryAfterMs).toBeGreaterThan(0);
  expect(app.impressions.status()).toMatchObject({ waiting: 50, dropped: 0 });
  time.ms += 60_000;
  await expect
    .poll(() => app.impressions.status(), WAIT)
    .toEqual({
      waiting: 0,
      acknowledged: 3_050,
      dropped: 0,
    });
  expect(await queued(api)).toEqual({ [USER]: 3_050 });
});
