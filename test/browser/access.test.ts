import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../client/support/bundle.ts";
import { AUDIENCE, ISSUER, signWith } from "../kit/tokens.ts";
import { type Api, startApi } from "../support/api.ts";
import { CHROMIUM } from "./chromium.ts";

/** A service that asks for tokens, seen from a real browser: its playground, and the SDK on pages of other origins. */

const ROOT = join(import.meta.dirname, "../..");
const WAIT = { timeout: 60_000, interval: 100 };
const SECRET = "a secret of thirty-two bytes, at least";

let api: Api;
let shop: Server;
let stranger: Server;
let browser: Browser;

/** A web page of an origin of its own, with the SDK on it. */
async function startSite(page: string): Promise<Server> {
  const site = createServer(
    (_, answer) => void answer.writeHead(200, { "content-type": "text/html" }).end(page),
  );
  await new Promise<void>((resolve) => void site.listen(0, "127.0.0.1", resolve));
  return site;
}
const originOf = (site: Server) => `http://127.0.0.1:${(site.address() as AddressInfo).port}`;

beforeAll(async () => {
  const script = await bundle(join(ROOT, "test/client/support/feed.ts"), ROOT);
  const page = `<!doctype html><meta charset="utf-8"><title>feed</title><body><script>${script}</script>`;
  [shop, stranger] = await Promise.all([startSite(page), startSite(page)]);
  api = await startApi({
    environment: {
      AUTH: "jwt",
      JWT_SECRET: SECRET,
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
      PLAYGROUND: "on",
      INTROSPECTION: "on",
      CORS_ORIGINS: originOf(shop),
      IMPRESSIONS_PER_MINUTE_MAX: "500",
    },
  });
  browser = await chromium.launch(CHROMIUM);
});
afterAll(async () => {
  await browser?.close();
  for (const site of [shop, stranger]) {
    site?.closeAllConnections();
    site?.close();
  }
  await api?.stop();
});

async function openFeed(site: Server, user: string): Promise<Page> {
  const page = await browser.newPage();
  const parameters = new URLSearchParams({
    user,
    endpoint: `${api.url}/graphql`,
    token: await signWith(SECRET, "HS256", { sub: user, scope: "impressions:write" }),
  });
  await page.goto(`${originOf(site)}/?${parameters}`);
  return page;
}
const status = (page: Page) => page.evaluate("feed.impressions.status()");
const errors = (page: Page) => page.evaluate("feed.errors");

test("the SDK records from a page whose origin is allowed, and reads how long it has to wait", async () => {
  const page = await openFeed(shop, "maria");
  await page.evaluate('feed.view("first", 500); feed.impressions.flush()');
  await expect.poll(() => status(page), WAIT).toMatchObject({ waiting: 0, acknowledged: 500 });
  await page.evaluate('feed.view("second", 500); feed.impressions.flush()');
  await expect
    .poll(() => errors(page), WAIT)
    .toEqual([expect.objectContaining({ code: "RATE_LIMITED", retryAfterMs: expect.any(Number) })]);
  expect(await status(page)).toMatchObject({ waiting: 500, dropped: 0 });
  await page.close();
});

test("from another page nothing comes through, and nothing is lost", async () => {
  const page = await openFeed(stranger, "josef");
  await page.evaluate('feed.view("first", 11)');
  await expect.poll(() => errors(page), WAIT).toEqual([expect.objectContaining({ code: "NETWORK" })]);
  expect(await status(page)).toMatchObject({ waiting: 11, acknowledged: 0, dropped: 0 });
  await page.close();
});

test("the playground asks with the token of its Headers editor", async () => {
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(new URL("/playground", api.url).href);
  const tab = page.getByRole("tablist").getByRole("button", { name: "Pipeline", exact: true });
  await tab.click();
  const run = async () => {
    const answered = page.waitForResponse(
      (response) =>
        response.url().endsWith("/graphql") && /query Pipeline/.test(response.request().postData() ?? ""),
    );
    await page.getByRole("button", { name: /execute query/i }).click();
    return (await answered).status();
  };
  expect(await run()).toBe(401);
  await expect.poll(() => page.locator(".result-window").textContent(), WAIT).toContain("UNAUTHENTICATED");

  await page.getByRole("button", { name: "Headers", exact: true }).click();
  await page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden)").click();
  const token = await signWith(SECRET, "HS256", { scope: "impressions:admin" });
  await page.keyboard.insertText(JSON.stringify({ Authorization: `Bearer ${token}` }));
  await expect.poll(run, WAIT).toBe(200);
  await expect.poll(() => page.locator(".result-window").textContent(), WAIT).toContain("queueHealthy");
  // Nothing keeps the token once the page is gone.
  expect(await page.evaluate<string>("JSON.stringify({ ...localStorage })")).not.toContain(
    token.slice(0, 40),
  );

  await page.getByRole("button", { name: /re-fetch graphql schema/i }).click();
  await page.getByRole("button", { name: /show documentation explorer/i }).click();
  await page.getByRole("link", { name: "Query", exact: true }).click();
  await page.getByText("The candidates this user has not seen", { exact: false }).first().waitFor();
  await page.screenshot({ path: join(ROOT, "test-output/playground-token.png") });
});
