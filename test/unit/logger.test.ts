import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createLogger, type LoggerOptions } from "../../src/telemetry/logger.ts";
import { partitionFields, partitionOf } from "../../src/workers/partition-queues.ts";

function logging(options: LoggerOptions = {}) {
  const lines: string[] = [];
  const logger = createLogger("debug", {
    ...options,
    destination: { write: (line) => void lines.push(line) },
  });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? "{}") as Record<string, unknown> };
}

describe("the log", () => {
  test("names a user by a hash that only the key's owner can make", () => {
    const { logger, last } = logging({ userIdKey: "a key of these tests" });
    logger.info({ userId: "maria" }, "x");
    const expected = createHmac("sha256", "a key of these tests").update("maria").digest("hex");
    expect(last().userId).toBe(expected.slice(0, 16));
    logger.child({ userId: "maria" }).info("x");
    expect(last().userId).toBe(expected.slice(0, 16));
  });

  test("without a key relates the lines of one process, and those alone", () => {
    const [one, other] = [logging(), logging()];
    const hashOf = ({ logger, last }: typeof one, userId: string) => {
      logger.info({ userId }, "x");
      return last().userId;
    };
    expect(hashOf(one, "maria")).toBe(hashOf(one, "maria"));
    expect(hashOf(one, "maria")).not.toBe(hashOf(one, "mario"));
    expect(hashOf(one, "maria")).not.toBe(hashOf(other, "maria"));
  });

  test("names users as they are with LOG_USER_IDS=plain", () => {
    const { logger, last } = logging({ userIds: "plain" });
    logger.info({ userId: "maria" }, "x");
    expect(last().userId).toBe("maria");
  });

  test("calls the owner of a user's partition a user, and the owner of a post's a post", () => {
    expect(partitionFields(partitionOf("history", "a b"))).toEqual({ userId: "a b" });
    expect(partitionFields(partitionOf("viewers", "history 1"))).toEqual({ postId: "history 1" });
  });

  test("keeps of an error what explains it, and nothing that a driver attached", () => {
    const { logger, last } = logging();
    const cause = Object.assign(new Error("no route"), {
      code: "EHOSTUNREACH",
      options: { pass: "hunter2" },
    });
    logger.error({ err: Object.assign(new TypeError("failed", { cause }), { request: ["maria"] }) }, "x");
    expect(last().err).toEqual({
      type: "TypeError",
      message: "failed",
      stack: expect.stringContaining("logger.test.ts"),
      cause: { type: "Error", message: "no route", code: "EHOSTUNREACH", stack: expect.any(String) },
    });
    logger.error({ err: "a text" }, "x");
    expect(last().err).toBe("a text");
  });

  test("holds no secret, wherever it comes from", () => {
    const secrets = ["hunter2hunter2", 'quo"ted\\secret'];
    const { logger, lines, last } = logging({ secrets });
    logger.error(
      { err: new Error(`refused: hunter2hunter2`), url: `nats://me:${secrets[1]}@host` },
      secrets[0],
    );
    expect(lines.join("")).not.toMatch(/hunter2|ted\\/);
    expect(last()).toMatchObject({ msg: "(secret)", url: "nats://me:(secret)@host" });
  });
});
