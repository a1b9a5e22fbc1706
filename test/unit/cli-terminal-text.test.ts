import { expect, test } from "vitest";
import { CommandError, explainFailure } from "../../src/cli/failure.ts";
import { terminalText } from "../../src/cli/terminal-text.ts";

test("control and format characters are spelt out, everything else stays", () => {
  expect(terminalText('line 3: žluťoučký 漢字 \u{1f600} "quoted" \\n')).toBe(
    'line 3: žluťoučký 漢字 \u{1f600} "quoted" \\n',
  );
  expect(terminalText("\u001b[31m\r\n\t\u007f\u009b31m\u202e\u2028\u{e0041}")).toBe(
    "\\u001b[31m\\u000d\\u000a\\u0009\\u007f\\u009b31m\\u202e\\u2028\\udb40\\udc41",
  );
});

test("JSON stays the same JSON", () => {
  const value = { detail: "\u001b[31m \u009b \u202e \u{e0041} \u{1f468}\u200d\u{1f469}", list: ["\u007f"] };
  const text = terminalText(JSON.stringify(value));
  expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(text)).toEqual(value);
});

test("a failure that quotes user input does nothing to the terminal", () => {
  expect(explainFailure(new CommandError("bad \u001b[2J"))).toBe("impressions: bad \\u001b[2J");
});
