import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { type ServiceProcess, startServiceProcess } from "../kit/service-process.ts";
import { postTo } from "../support/api.ts";
import { damageDatabase } from "../support/damage.ts";

const PATIENCE = { timeout: 60_000, interval: 50 };
const USERS = 100;
const ask = ({ url }: ServiceProcess, query: string) => postTo(url, { query });
const recording = (userId: string) =>
  `mutation { recordImpressions(input: { userId: "${userId}", impressions: [
    { postId: "p", viewedAt: "${new Date(Date.now() - 1_000).toISOString()}" }
  ] }) { accepted } }`;
const reading = `{ users(ids: [${Array.from({ length: USERS }, (_, user) => `"u${user}"`)}]) {
  seenPosts(first: 1) { nodes { post { id } } }
} }`;

test("a damaged store: 503 instead of a part, a fatal line that names the file, not ready; mutations are kept", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const environment = { DATA_DIR: directory.path };
  const first = await startServiceProcess(environment);
  await Promise.all(Array.from({ length: USERS }, (_, user) => ask(first, recording(`u${user}`))));
  await expect
    .poll(async () => (await ask(first, "{ pipeline { pending } }")).json, PATIENCE)
    .toEqual({ data: { pipeline: { pending: 0 } } });
  await first.kill("SIGTERM");

  const service = await startServiceProcess(environment);
  onTestFinished(async () => void (await service.kill("SIGKILL")));
  const file = join(directory.path, "store.sqlite");
  damageDatabase(file);
  const answer = await ask(service, reading);
  expect(answer).toMatchObject({
    status: 503,
    json: { errors: [{ extensions: { code: "STORE_UNAVAILABLE" } }] },
  });
  const readiness = await fetch(new URL("/readyz", service.url));
  expect(readiness.status).toBe(503);
  expect(await readiness.json()).toMatchObject({
    ready: false,
    queue: { healthy: true },
    store: { healthy: false, lasting: true, reason: expect.stringContaining(file) },
  });
  const fatal = service.log.map((line) => JSON.parse(line)).filter(({ level }) => level === 60);
  expect(fatal).toMatchObject([{ reason: expect.stringContaining(file) }]);
  expect((await ask(service, recording("new"))).json).toEqual({
    data: { recordImpressions: { accepted: 1 } },
  });
});
