import { describe, expect, test } from "vitest";
import { createLifecycle } from "../../src/app/lifecycle.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

const logger = createLogger("silent");

describe("lifecycle", () => {
  test("stops in the opposite order, each part once, however often it is called", async () => {
    const lifecycle = createLifecycle(logger);
    const stopped: string[] = [];
    lifecycle.onStop("first", () => void stopped.push("first"));
    lifecycle.onStop("second", async () => void stopped.push("second"));
    lifecycle.running();
    expect(lifecycle.phase().name).toBe("running");
    const stopping = [lifecycle.stop(), lifecycle.stop()];
    expect(lifecycle.phase().name).toBe("stopping");
    await Promise.all(stopping);
    await lifecycle.stop();
    expect(stopped).toEqual(["second", "first"]);
    expect(lifecycle.phase().name).toBe("stopped");
  });

  test("a part that fails does not keep the others running, and its failure is told", async () => {
    const lifecycle = createLifecycle(logger);
    const stopped: string[] = [];
    lifecycle.onStop("first", () => void stopped.push("first"));
    lifecycle.onStop("second", () => Promise.reject(new Error("stuck")));
    await expect(lifecycle.stop()).rejects.toThrow("stuck");
    expect(stopped).toEqual(["first"]);
  });
});
