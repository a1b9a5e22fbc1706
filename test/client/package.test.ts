import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { startServiceProcess } from "../kit/service-process.ts";
import { walkSeenPosts } from "../kit/walks.ts";
import { bundle } from "./support/bundle.ts";

/** The package as npm would publish it, installed in another project. */

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
const directory = createTemporaryDirectory();
const project = join(directory.path, "project");
let files: string[];

beforeAll(async () => {
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", directory.path], {
    cwd: join(ROOT, "client"),
  });
  // `prepack` builds, and npm may print what it ran before the JSON.
  const report: unknown = JSON.parse(stdout.slice(stdout.search(/^[[{]/m)));
  const [packed] = (Array.isArray(report) ? report : Object.values(report as object)) as {
    filename: string;
    files: { path: string }[];
  }[];
  files = packed?.files.map(({ path }) => path) ?? [];
  const target = join(project, "node_modules/@impressions/client");
  mkdirSync(target, { recursive: true });
  await run("tar", [
    "-xzf",
    join(directory.path, packed?.filename ?? ""),
    "-C",
    target,
    "--strip-components=1",
  ]);
  writeFileSync(join(project, "package.json"), '{ "name": "somebody", "type": "module", "private": true }');
});

afterAll(directory.remove);

describe("the packed client", () => {
  test("has what it should, and nothing else", () => {
    expect(files).toEqual(
      expect.arrayContaining([
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "package.json",
        "dist/index.js",
        "dist/index.d.ts",
      ]),
    );
    for (const file of files)
      expect(file).toMatch(/^(README\.md|CHANGELOG\.md|LICENSE|package\.json|(dist|examples)\/)/);
    expect(files.filter((file) => file.endsWith(".tsbuildinfo") || file.includes("test"))).toEqual([]);
  });

  test("imports in plain Node, every entry point", async () => {
    const script = `
      for (const entry of ["", "/node", "/react-native", "/browser"]) {
        const { createImpressionsOn, createImpressions } = await import("@impressions/client" + entry);
        console.log(entry, typeof createImpressionsOn, typeof createImpressions);
      }
      // While a server renders a page.
      const web = await import("@impressions/client/browser");
      const rendered = web.createImpressions({ endpoint: "/graphql", userId: "maria" });
      const { observe, unobserve, disconnect } = web.observeViews(rendered);
      observe({}, "post-1");
      unobserve({});
      disconnect();
      rendered.viewed("post-1");
      console.log(JSON.stringify(await rendered.close()));
      const { createImpressions } = await import("@impressions/client/node");
      const impressions = createImpressions({ endpoint: "http://127.0.0.1:9/graphql", userId: "maria" });
      impressions.viewed("post-1");
      console.log(JSON.stringify(await impressions.close()));`;
    writeFileSync(join(project, "main.js"), script);
    const { stdout } = await run(process.execPath, ["main.js"], { cwd: project });
    expect(stdout.trimEnd().split("\n")).toEqual([
      " function undefined",
      "/node function function",
      "/react-native function function",
      "/browser function function",
      '{"waiting":1,"acknowledged":0,"dropped":0}',
      '{"waiting":1,"acknowledged":0,"dropped":0}',
    ]);
  });

  test("runs its example, and gives the README's output", async () => {
    const service = await startServiceProcess({ DATA_DIR: join(directory.path, "data") });
    onTestFinished(async () => void (await service.kill("SIGKILL")));
    const example = readFileSync(join(ROOT, "client/examples/kiosk.js"), "utf8");
    const readme = readFileSync(join(ROOT, "client/README.md"), "utf8");
    const [, code, output] = /\$ cat kiosk\.js\n(.*?)\$ node kiosk\.js [^\n]*\n(.*?)```/s.exec(readme) ?? [];
    expect(example.endsWith(code ?? "?"), "the README shows the example").toBe(true);
    writeFileSync(join(project, "kiosk.js"), example);
    const ran = await run(process.execPath, ["kiosk.js", `${service.url}/graphql`], { cwd: project });
    expect(ran).toEqual({ stdout: output, stderr: "" });
    await expect.poll(() => walkSeenPosts(service.url, "kiosk-1"), { timeout: 60_000 }).toHaveLength(25);
  });

  test("bundles with Vite for a browser, without a trace of Node", async () => {
    const entry = join(project, "app.js");
    writeFileSync(
      entry,
      `import { createImpressions, observeViews } from "@impressions/client/browser";
       const impressions = createImpressions({ endpoint: "/graphql", userId: "maria" });
       observeViews(impressions).observe(document.body, "post-1");`,
    );
    const script = await bundle(entry, project);
    expect(script).toContain("recordImpressions");
    expect(script).not.toMatch(/node:|require\(/);
    // The bundle has no code that the app does not use.
    expect(script).not.toContain("itemVisiblePercentThreshold");
  });

  describe("types", () => {
    const compile = (file: string, code: string, lib: readonly string[], types: readonly string[] = []) => {
      writeFileSync(join(project, file), code);
      const config = join(project, `tsconfig.${file}.json`);
      const compilerOptions = {
        ...{ strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true },
        ...{
          target: "es2022",
          module: "nodenext",
          lib,
          types,
          typeRoots: [join(ROOT, "node_modules/@types")],
        },
      };
      writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
      return run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", config], {
        cwd: project,
      }).then(
        () => "",
        ({ stdout }: { stdout: string }) => stdout,
      );
    };

    test("of a strict web app", async () => {
      const code = `import { createImpressions, observeViews, type Dropped } from "@impressions/client/browser";
        const impressions = createImpressions({
          endpoint: "/graphql", getToken: async (refused: boolean) => (refused ? "new" : "old"), sendAbove: 5, paused: true,
          onDropped: ({ reason, impressions }: Dropped) => console.log(reason, impressions[0]?.postId),
        });
        impressions.viewed("p", { surface: "HOME", position: 1, at: new Date() });
        impressions.pause();
        const cleared: number = (await impressions.clear()).waiting;
        impressions.resume();
        console.log(cleared);
        observeViews(impressions, { fractionMin: 0.3, root: null }).observe(document.body, "p");
        const { waiting }: { waiting: number } = await impressions.flush();
        console.log(waiting);`;
      expect(await compile("web.ts", code, ["es2022", "dom"])).toBe("");
    });

    test("of a strict React Native app, with components of its shape", async () => {
      const code = `import { asyncStorage, createImpressions, listViews } from "@impressions/client/react-native";
        declare const AppState: { addEventListener(type: "change", listener: (state: "active" | "background" | "inactive") => void): { remove(): void } };
        declare const AsyncStorage: { getAllKeys(): Promise<readonly string[]>; getItem(key: string): Promise<string | null>; setItem(key: string, value: string): Promise<void>; removeItem(key: string): Promise<void> };
        const impressions = createImpressions({ endpoint: "https://api.example.com/graphql", userId: "maria", appState: AppState, storage: asyncStorage(AsyncStorage) });
        const props = listViews(impressions, { appState: AppState, postIdOf: (post: { id: string }) => post.id });
        const { viewabilityConfig }: { viewabilityConfig: object } = props.viewabilityConfigCallbackPairs[0]!;
        props.itemsChanged([{ id: "p" }]);
        console.log(viewabilityConfig);
        props.onViewableItemsChanged({ changed: [{ item: { id: "p" }, index: 0, isViewable: true }] });`;
      expect(await compile("native.ts", code, ["es2022", "dom"])).toBe("");
    });

    test("of a strict Node program", async () => {
      const code = `import { createImpressions, fileStorage } from "@impressions/client/node";
        createImpressions({ endpoint: "http://127.0.0.1:4000/graphql", userId: "maria", storage: fileStorage("./views") });`;
      expect(await compile("program.ts", code, ["es2022"], ["node"])).toBe("");
    });

    test.each([
      ["views without a user", 'createImpressions({ endpoint: "/graphql" });'],
      ["no endpoint", 'createImpressions({ userId: "maria" });'],
      [
        "a post without an id",
        'createImpressions({ endpoint: "/graphql", userId: "maria" }).viewed(undefined);',
      ],
      [
        "a number for text",
        'createImpressions({ endpoint: "/graphql", userId: "maria" }).viewed("p", { surface: 5 });',
      ],
    ])("refuse %s", async (_what, code) => {
      const whole = `import { createImpressions } from "@impressions/client/browser";\n${code}`;
      expect(await compile("wrong.ts", whole, ["es2022", "dom"])).toMatch(/^wrong\.ts\(2,\d+\): error TS/);
    });
  });
});
