import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { run } from "../servers/command.ts";
import { pythonEnvironment } from "./support/python.ts";

/** The files of deploy/ against the schemas of those who read them; test/unit has what they have to say. */

const DEPLOY = join(import.meta.dirname, "../../deploy");
const manifests = readdirSync(join(DEPLOY, "kubernetes")).map((name) => join("kubernetes", name));
let python: string;

beforeAll(async () => {
  python = join(await pythonEnvironment(join(import.meta.dirname, "deploy-requirements.txt")), "python");
});

const checkManifest = (file: string) => run(python, ["-m", "kubernetes_validate", "--strict", file]);
const checkCompose = (file: string) =>
  run(python, ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]);

/** A copy of a file of deploy/ in which one thing is another. */
function brokenCopy(file: string, right: string, wrong: string): string {
  const { path, remove } = createTemporaryDirectory();
  onTestFinished(remove);
  const text = readFileSync(join(DEPLOY, file), "utf8");
  expect(text).toContain(right);
  const copy = join(path, "copy.yaml");
  writeFileSync(copy, text.replace(right, wrong));
  return copy;
}

describe("the Kubernetes manifests", () => {
  test.each(manifests)("%s", async (file) => {
    expect(await checkManifest(join(DEPLOY, file))).toMatch(/ passed for resource /);
  });

  test.each([
    ["kubernetes/api.yaml", "replicas: 2", 'replicas: "two"'],
    ["kubernetes/worker.yaml", "terminationGracePeriodSeconds:", "terminationGraceSeconds:"],
    ["kubernetes/migrate.yaml", "restartPolicy: Never", "restartPolicies: Never"],
    ["kubernetes/config.yaml", 'PORT: "4000"', "PORT: 4000"],
  ])("%s with a mistake in it is refused", async (file, right, wrong) => {
    await expect(checkManifest(brokenCopy(file, right, wrong))).rejects.toThrow(/did not validate/);
  });
});

describe("compose.yaml", () => {
  test("is one", async () => {
    expect(await checkCompose(join(DEPLOY, "compose.yaml"))).toContain("ok");
  });

  test.each([
    ["stop_grace_period: 30s", "stop_grace: 30s"],
    ["condition: service_healthy", "condition: healthy"],
    ["internal: true", "internal: [1]"],
  ])("with a mistake in it is refused: %s", async (right, wrong) => {
    await expect(checkCompose(brokenCopy("compose.yaml", right, wrong))).rejects.toThrow(/failed/i);
  });
});
