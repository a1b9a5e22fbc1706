import { createHmac, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { ClusterInstallation } from "../../kit/cluster-installation.ts";
import { runCommand, type ServiceProcess } from "../../kit/service-process.ts";
import { AUDIENCE, ISSUER, signWith } from "../../kit/tokens.ts";
import { startNats } from "../../servers/nats.ts";
import { startSilentServer } from "../../servers/silent-server.ts";
import { type HttpAnswer, postTo } from "../../support/api.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

/** Made up anew for each run; each is looked for in everything that the service has written. */
const marked = (what: string) => `${what}-${randomBytes(12).toString("hex")}`;
const SECRETS = {
  NATS_PASSWORD: marked("nats"),
  SCYLLA_PASSWORD: marked("scylla"),
  JWT_SECRET: marked("a-key-of-thirty-two-bytes-at-least"),
  METRICS_TOKEN: marked("metrics"),
  IMPRESSIONS_TOKEN: marked("operator"),
  LOG_USER_ID_KEY: marked("user-ids"),
};
const SETTINGS = {
  ...SECRETS,
  NATS_USER: "impressions",
  SCYLLA_USER: "impressions",
  AUTH: "jwt",
  JWT_ISSUER: ISSUER,
  JWT_AUDIENCE: AUDIENCE,
  LOG_LEVEL: "trace",
  PUBLISH_TIMEOUT_MS: "500",
};
const USERS = { good: marked("user"), bad: marked("user"), waiting: marked("user"), erased: marked("user") };

let installation: ClusterInstallation;
/** Everything that any process has written. */
const written: string[] = [];
let token: string;
const sentTokens: string[] = [];

beforeAll(async () => {
  installation = await openSharedInstallation();
  const scope = "impressions:write impressions:read impressions:admin";
  token = await signWith(SECRETS.JWT_SECRET, "HS256", { sub: "operator", scope });
});
afterAll(() => installation.dispose());

const post = (
  service: ServiceProcess,
  query: string,
  authorization = `Bearer ${token}`,
): Promise<HttpAnswer> => {
  sentTokens.push(authorization.replace("Bearer ", ""));
  return postTo(service.url, { query }, { authorization });
};
const record = (service: ServiceProcess, userId: string, ...posts: string[]) => {
  const impressions = posts.map(
    (postId) => `{ postId: "${postId}", viewedAt: "${new Date().toISOString()}" }`,
  );
  return post(
    service,
    `mutation { recordImpressions(input: { userId: "${userId}", impressions: [${impressions}] }) { accepted } }`,
  );
};
const said = (service: ServiceProcess, message: string) =>
  expect
    .poll(() => service.log.some((line) => line.includes(message)), { timeout: 120_000, message })
    .toBe(true);

test("a day in the life: writes, junk, reads, an erasure, wrong tokens", async () => {
  const service = await installation.start("serve", SETTINGS);
  await record(service, USERS.good, "p1", "p2");
  await record(service, USERS.bad, "p1", "null");
  await said(service, "impressions were dead-lettered");
  await record(service, USERS.erased, "p1");
  await post(service, `mutation { eraseUser(userId: "${USERS.erased}") { id } }`);
  await post(service, `{ seenPosts(userId: "${USERS.good}") { nodes { views } } }`);
  await post(service, `{ user(id: "${USERS.good}") { nothing } }`);
  const forged = await signWith(marked("another-key-of-thirty-two-bytes"), "HS256", { sub: USERS.good });
  expect((await post(service, "{ pipeline { engine } }", `Bearer ${forged}`)).status).toBe(401);
  const metrics = await fetch(new URL("/metrics", service.url), {
    headers: { authorization: `Bearer ${SECRETS.METRICS_TOKEN}x` },
  });
  expect(metrics.status).toBe(401);
  await said(service, "a user was erased");
  expect(await service.kill("SIGTERM")).toMatchObject({ code: 0 });
  written.push(...service.log);
});

test("a night with a database that hangs", async () => {
  const service = await installation.start("serve", {
    ...SETTINGS,
    SCYLLA_CONTACT_POINTS: await startSilentServer(),
    REQUEST_TIMEOUT_MS: "300",
  });
  await record(service, USERS.waiting, "p1");
  const { status } = await post(service, `{ seenPosts(userId: "${USERS.waiting}") { nodes { views } } }`);
  expect(status).toBe(503);
  await said(service, "a store write failed");
  await said(service, '"requestId"');
  await service.kill("SIGKILL");
  written.push(...service.log);
});

test("starts that fail, and the configuration as it is printed", async () => {
  const nats = await startNats({ config: { user: "impressions", password: marked("other") } });
  onTestFinished(() => nats.stop());
  const environment = { ...installation.environment, ...SETTINGS };
  const refused = await runCommand({ ...environment, NATS_SERVERS: nats.servers.join(",") }, "worker");
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("refuses the credentials") });
  const printed = await runCommand(environment, "config");
  expect(printed).toMatchObject({ code: 0, stdout: expect.stringContaining("NATS_PASSWORD=(set)") });
  const wrong = await runCommand({ ...environment, JWT_SECRET: SECRETS.JWT_SECRET.slice(0, 20) }, "worker");
  expect(wrong.code).toBe(1);
  for (const { stdout, stderr } of [refused, printed, wrong]) written.push(stdout, stderr);
});

test("none of it holds a secret, a token or a user's id; a user is a hash that the key's owner can make", () => {
  const text = written.join("\n");
  expect(written.length).toBeGreaterThan(10);
  const forbidden = { ...SECRETS, ...USERS, ...Object.fromEntries(sentTokens.entries()) };
  for (const [name, value] of Object.entries(forbidden)) {
    // Neither whole nor its first half, as a library might shorten it.
    expect(text.includes(value.slice(0, Math.ceil(value.length * 0.75))), name).toBe(false);
  }
  const hash = createHmac("sha256", SECRETS.LOG_USER_ID_KEY).update(USERS.erased).digest("hex");
  expect(text).toContain(`"userId":"${hash.slice(0, 16)}"`);
  for (const line of written.filter((candidate) => candidate.startsWith("{"))) JSON.parse(line);
});
