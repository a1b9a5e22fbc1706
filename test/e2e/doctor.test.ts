import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { startServiceProcess } from "../kit/service-process.ts";
import { AUDIENCE, createTokenIssuer, ISSUER } from "../kit/tokens.ts";
import { runDoctor, troubleIn } from "../support/doctor.ts";

/** Nothing listens there. */
const NOBODY = { PORT: "1" };

/** A data directory that a service has left in good order. */
async function usedDirectory(): Promise<string> {
  const { path, remove } = createTemporaryDirectory();
  onTestFinished(remove);
  chmodSync(path, 0o700);
  const service = await startServiceProcess({ DATA_DIR: path });
  expect(await service.kill("SIGTERM")).toMatchObject({ code: 0 });
  return path;
}

function changeVersion(file: string, version: number): void {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA user_version = ${version}`);
  database.close();
}

describe("impressions doctor on the embedded engine", () => {
  test("asks the running service, and is content with it", async () => {
    const { path, remove } = createTemporaryDirectory();
    onTestFinished(remove);
    const service = await startServiceProcess({
      DATA_DIR: path,
      QUEUE_MAX_BYTES: "1MiB",
      DEAD_LETTER_MAX_BYTES: "1MiB",
    });
    onTestFinished(async () => void (await service.kill("SIGKILL")));
    const { port } = new URL(service.url);
    const environment = { DATA_DIR: path, QUEUE_MAX_BYTES: "1MiB", DEAD_LETTER_MAX_BYTES: "1MiB" };
    for (const reached of [{ PORT: port }, { ...NOBODY, IMPRESSIONS_URL: service.url }]) {
      const report = await runDoctor({ ...environment, ...reached });
      expect(report.code).toBe(0);
      expect(report.findings).toMatchObject({
        service: "ok: runs, ENGINE=embedded",
        queue: "ok: healthy",
        store: "ok: healthy",
        workers: "ok: 2 run",
        "data directory": `ok: ${path} is held by the running service`,
      });
      expect(troubleIn(report)).toEqual({});
    }
    const elsewhere = await runDoctor({ ...environment, ...NOBODY });
    expect(elsewhere).toMatchObject({
      code: 1,
      findings: {
        "data directory": expect.stringMatching(/^failed: .* is in use by process \d+.*IMPRESSIONS_URL/),
      },
    });
  });

  test("says that a service does not answer", async () => {
    expect(await runDoctor({ ...NOBODY, IMPRESSIONS_URL: "http://127.0.0.1:1" })).toMatchObject({
      code: 1,
      findings: { service: expect.stringMatching(/^failed: no answer from .*IMPRESSIONS_URL/) },
    });
  });

  test("without a service it looks at the files itself, and changes nothing", async () => {
    const path = await usedDirectory();
    const report = await runDoctor({
      ...NOBODY,
      DATA_DIR: path,
      QUEUE_MAX_BYTES: "1MiB",
      DEAD_LETTER_MAX_BYTES: "1MiB",
    });
    expect(report.code).toBe(0);
    expect(troubleIn(report)).toEqual({});
    expect(report.findings["store.sqlite"]).toMatch(/^ok: format \d+, no damage found$/);

    const none = await runDoctor({ ...NOBODY, DATA_DIR: join(path, "none") });
    expect(none).toMatchObject({
      code: 0,
      findings: { "data directory": expect.stringContaining("not there yet") },
    });
  });

  test("finds files of another version, damaged ones, and an open directory", async () => {
    const path = await usedDirectory();
    const environment = { ...NOBODY, DATA_DIR: path, QUEUE_MAX_BYTES: "1MiB", DEAD_LETTER_MAX_BYTES: "1MiB" };
    changeVersion(join(path, "queue.sqlite"), 1_000);
    writeFileSync(
      join(path, "store.sqlite"),
      "no database, but a text that is longer than a header of SQLite has to be: 100 bytes",
    );
    chmodSync(path, 0o755);
    const report = await runDoctor(environment);
    expect(report.code).toBe(1);
    expect(troubleIn(report)).toEqual({
      "queue.sqlite": expect.stringMatching(/^failed: .*written by a newer version.*: run that version/),
      "store.sqlite": expect.stringMatching(/^failed: .*is damaged: restore store.sqlite from a backup/),
      permissions: expect.stringMatching(/^warning: .*chmod 700/),
    });
    changeVersion(join(path, "queue.sqlite"), 1);
    expect((await runDoctor(environment)).findings["queue.sqlite"]).toMatch(
      /^ok: format 1 \(the next start brings it to \d+\), no damage found$/,
    );
  });

  test("finds a directory that cannot be written, and a disk without room", async () => {
    // Not even root may make a file in it.
    const report = await runDoctor({ ...NOBODY, DATA_DIR: "/proc/sys" });
    expect(report).toMatchObject({
      code: 1,
      findings: {
        "data directory": expect.stringMatching(/^failed: cannot use .*: set DATA_DIR/),
        disk: expect.stringMatching(/^failed: 0 bytes free .*: make room/),
      },
    });
    const { path, remove } = createTemporaryDirectory();
    onTestFinished(remove);
    expect(await runDoctor({ ...NOBODY, DATA_DIR: path, QUEUE_MAX_BYTES: "4096TiB" })).toMatchObject({
      code: 0,
      findings: { disk: expect.stringMatching(/^warning: .*lower QUEUE_MAX_BYTES/) },
    });
  });

  test("says which settings are wrong, and which are risky", async () => {
    expect(await runDoctor({ PORT: "no", WORKERS: "0" })).toEqual({
      code: 1,
      findings: {
        configuration:
          "failed: PORT=no: must be a whole number from 0 to 65535\nfailed: WORKERS=0: must be a whole number from 1 to 64",
      },
    });
    const { path, remove } = createTemporaryDirectory();
    onTestFinished(remove);
    const open = await runDoctor({ ...NOBODY, DATA_DIR: path, HOST: "0.0.0.0", ALLOW_INSECURE: "1" });
    expect(open.findings.configuration).toMatch(/^warning: ALLOW_INSECURE=1: every client that reaches/m);
  });

  test("says whether tokens could be verified, and whether the list of documents can be used", async () => {
    const { path, remove } = createTemporaryDirectory();
    onTestFinished(remove);
    const jwt = { ...NOBODY, DATA_DIR: path, AUTH: "jwt", JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE };
    const issuer = await createTokenIssuer();
    const missing = join(path, "missing");
    expect(
      await runDoctor({ ...jwt, JWT_PUBLIC_KEY: missing, TRUSTED_DOCUMENTS_FILE: missing }),
    ).toMatchObject({
      code: 1,
      findings: {
        "token keys": expect.stringMatching(/^failed: JWT_PUBLIC_KEY=.*: cannot be read \(ENOENT\)/),
        documents: expect.stringMatching(/^failed: TRUSTED_DOCUMENTS_FILE=.* must hold a JSON object/),
      },
    });
    const cognito = {
      JWT_ISSUER: "https://cognito-idp.eu-central-1.amazonaws.com/x",
      JWT_PUBLIC_KEY: issuer.publicPem,
    };
    expect((await runDoctor({ ...jwt, ...cognito })).findings["token settings"]).toMatch(
      /^warning: Amazon Cognito: its access tokens have no aud/m,
    );
    const documents = join(path, "documents.json");
    writeFileSync(documents, JSON.stringify({ mine: "{ __typename }" }));
    const good = { JWT_PUBLIC_KEY: issuer.publicPem, TRUSTED_DOCUMENTS_FILE: documents };
    expect((await runDoctor({ ...jwt, ...good })).findings).toMatchObject({
      "token keys": expect.stringMatching(/^ok: tokens are signed with RS256/),
      "token settings": expect.stringMatching(/^ok: of https:\/\/login.example; aud is impressions/),
      documents: `ok: ${documents} fits the schema`,
    });
  });
});
