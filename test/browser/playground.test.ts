import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readOperations } from "../../src/server/operations.ts";
import { type Api, startApi } from "../support/api.ts";
import { CHROMIUM } from "./chromium.ts";

/** The playground in a real browser that can reach this machine only. */

const SCREENSHOTS = join(import.meta.dirname, "../../test-output");
const ACTION_MS_MAX = 20_000;
/** A tab for each documented operation; test/unit/resolvers-schema.test.ts spells them out. */
const TABS = (await readOperations()).map(({ name }) => name);

let api: Api;
/** One where only trusted documents run. */
let strict: Api;
let profile: string;
let browser: BrowserContext;
let page: Page;
const complaints: string[] = [];
const foreignRequests: string[] = [];

beforeAll(async () => {
  api = await startApi();
  strict = await startApi({ environment: { TRUSTED_DOCUMENTS: "only" } });
  await mkdir(SCREENSHOTS, { recursive: true });
  profile = await mkdtemp(join(tmpdir(), "impressions-browser-"));
  browser = await chromium.launchPersistentContext(profile, {
    ...CHROMIUM,
    viewport: { width: 1_440, height: 900 },
  });
  page = await browser.newPage();
  page.setDefaultTimeout(ACTION_MS_MAX);
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await browser.route("**/*", (route) => {
    const url = route.request().url();
    if (url.startsWith(api.url) || url.startsWith(strict.url) || /^(data|blob):/.test(url))
      return route.continue();
    foreignRequests.push(url);
    return route.abort();
  });
  await page.goto(new URL("/playground", api.url).href);
  await tabButton("RecordImpressions").waitFor();
});

afterAll(async () => {
  await browser?.close();
  await rm(profile, { recursive: true, force: true });
  await api?.stop();
  await strict?.stop();
});

/** A tab's title: the tab itself is also named after its close button. */
function tabButton(tab: string): Locator {
  return page.getByRole("tablist").getByRole("button", { name: tab, exact: true });
}

async function run(tab: string): Promise<string> {
  await tabButton(tab).click();
  const answered = page.waitForResponse((response) => {
    const sent = response.request().postDataJSON() as { query: string } | null;
    return (
      response.url().endsWith("/graphql") && new RegExp(`(query|mutation) ${tab}\\b`).test(sent?.query ?? "")
    );
  });
  await page.getByRole("button", { name: /execute query/i }).click();
  return (await answered).text();
}

describe("the playground", () => {
  test("opens with a ready tab for each documented operation", async () => {
    for (const tab of TABS) expect(await tabButton(tab).count(), tab).toBe(1);
    expect(await page.getByRole("tab").count()).toBe(TABS.length);
    await expect.poll(() => page.locator(".graphiql-editors").textContent()).toContain("RecordImpressions");
  });

  test("records with the example variables as they stand", async () => {
    expect(JSON.parse(await run("RecordImpressions"))).toMatchObject({
      data: { recordImpressions: { accepted: 2 } },
    });
    await expect.poll(() => page.locator(".result-window").textContent()).toMatch(/"accepted"/);
    const [delivery] = await api.engine.queue.pull({
      maxMessages: 1,
      maxBytes: 1_000_000,
      waitMs: 5_000,
      signal: new AbortController().signal,
    });
    expect(Buffer.from(delivery?.body ?? []).toString()).toContain('"userId":"maria"');
  });

  test("shows what a query answers", async () => {
    await api.store([{ userId: "maria", postId: "post-2", viewedAtMs: Date.now() }]);
    expect(JSON.parse(await run("UnseenPosts"))).toEqual({
      data: { unseenPosts: ["post-1", "post-3", "post-4"] },
    });
    await expect.poll(() => page.locator(".result-window").textContent()).toContain('"post-4"');
    await page.screenshot({ path: join(SCREENSHOTS, "playground.png") });
  });

  test.each([
    "SeenPosts",
    "PostViewers",
    "UnseenPostsForUsers",
    "Pipeline",
    "DeadLetters",
    "Erasure",
    "UserAndViewers",
  ])("%s runs as it stands", async (tab) => {
    expect(JSON.parse(await run(tab))).toMatchObject({ data: expect.any(Object) });
  });

  test("knows the schema", async () => {
    await page.getByRole("button", { name: /show documentation explorer/i }).click();
    await page.getByRole("link", { name: "Query", exact: true }).click();
    await page.getByText("The candidates this user has not seen", { exact: false }).first().waitFor();
    await page.screenshot({ path: join(SCREENSHOTS, "playground-schema.png") });
  });

  test("keeps the tabs over a reload, however soon after a change of tabs", async () => {
    for (const tab of ["Pipeline", "UserAndViewers"]) {
      await tabButton(tab).click();
      await page.reload();
      await tabButton("RecordImpressions").waitFor();
      expect(await page.getByRole("tab").count()).toBe(TABS.length);
    }
  });

  describe("where only trusted documents run", () => {
    test("says so, and runs the tabs as they stand", async () => {
      await page.goto(new URL("/playground", strict.url).href);
      await page.getByRole("note").getByText("Only trusted documents run here").waitFor();
      await tabButton("RecordImpressions").waitFor();
      expect(JSON.parse(await run("UnseenPosts"))).toEqual({
        data: { unseenPosts: ["post-1", "post-2", "post-3", "post-4"] },
      });
      await page.screenshot({ path: join(SCREENSHOTS, "playground-trusted.png") });
    });

    test("shows the schema all the same", async () => {
      await page.getByRole("button", { name: /show documentation explorer/i }).click();
      await page.getByRole("link", { name: "Query", exact: true }).click();
      await page.getByText("The candidates this user has not seen", { exact: false }).first().waitFor();
    });
  });

  test("did all this without another origin and without a complaint", () => {
    expect(foreignRequests).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
