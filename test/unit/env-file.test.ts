import { parseEnv } from "node:util";
import { describe, expect, test } from "vitest";
import { SECRETS } from "../../src/config.ts";
import { ConfigError } from "../../src/config-values.ts";
import { refuseMisreadSecrets } from "../../src/env-file.ts";

const PLAIN = "with spaces = inside";

describe("a secret in .env", () => {
  test.each([
    PLAIN,
    `'${PLAIN}'`,
    `"${PLAIN}"`,
    `\`${PLAIN}\``,
    `'# \\n "${PLAIN}" '`,
    `"it's ${PLAIN}"`,
    `${PLAIN}\\n`,
    `"two\nlines"`,
    "",
  ])("is taken as written: %j", (written) => {
    for (const text of [
      `JWT_SECRET=${written}\n`,
      `PORT=1 # one\r\nexport JWT_SECRET = ${written}\r\nHOST=x`,
    ])
      expect(() => refuseMisreadSecrets(text, parseEnv(text))).not.toThrow();
  });

  test.each([
    [`${PLAIN}#more`, PLAIN],
    [`${PLAIN} # a comment`, PLAIN],
    [`${PLAIN}  `, PLAIN],
    [`${PLAIN}\t`, PLAIN],
    [`"${PLAIN}\\n"`, `${PLAIN}\n`],
    [`"${PLAIN}"more`, PLAIN],
    [`'${PLAIN}' # a comment`, PLAIN],
    ["'it''s'", "it"],
    ["#more", ""],
  ])("is refused where Node reads another one: %j", (written, read) => {
    for (const name of SECRETS) {
      const text = `PORT=1 # one\n${name}=${written}\nHOST=x`;
      // The value as Node reads it, so that this test fails when a new Node reads it differently.
      expect(parseEnv(text)[name]).toBe(read);
      expect(() => refuseMisreadSecrets(text, parseEnv(text))).toThrow(
        new ConfigError(
          `${name} in .env is read as another text than is written there: put it between ' and '`,
        ),
      );
      // The environment comes first, so the file's does not count.
      expect(() => refuseMisreadSecrets(text, { [name]: "set before" })).not.toThrow();
    }
  });

  test("is told from other settings, which may have comments", () => {
    const text = "PORT=4100 # a comment\n# METRICS_TOKEN=abc#def\nMY_METRICS_TOKEN=abc#def\n";
    expect(() => refuseMisreadSecrets(text, parseEnv(text))).not.toThrow();
  });
});
