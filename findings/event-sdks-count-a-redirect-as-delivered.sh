#!/usr/bin/env bash
# posthog-node 5.70.0, @segment/analytics-node 3.1.0, @rudderstack/rudder-sdk-node 3.0.13, @snowplow/node-tracker 4.8.0,
# @jitsu/js 1.11.0: if the collector's address answers 301 (http became https, a host moved), all five follow it as
# fetch and axios do: with GET and without a body. They report the 200 to that GET to the application as a delivery, and
# the event is lost: no retry, no error. (A 308 would have kept method and body.) Runs the pinned packages against a local
# server in a temporary folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund posthog-node@5.70.0 @segment/analytics-node@3.1.0 \
  @rudderstack/rudder-sdk-node@3.0.13 @snowplow/node-tracker@4.8.0 @jitsu/js@1.11.0
cat >try.mjs <<'JS'
import { createServer } from "node:http";
import { jitsuAnalytics } from "@jitsu/js";
import Rudder from "@rudderstack/rudder-sdk-node";
import { Analytics } from "@segment/analytics-node";
import { buildStructEvent, newTracker } from "@snowplow/node-tracker";
import { PostHog } from "posthog-node";

/** Sends one event to a collector that has moved; tells what reached the new place and what the SDK reported. */
async function attempt(name, send) {
  const arrived = [];
  const server = createServer((request, response) => {
    let bytes = 0;
    request.on("data", (chunk) => (bytes += chunk.length));
    request.on("end", () => {
      if (request.url === "/moved") arrived.push(`${request.method} with ${bytes} bytes`);
      response.writeHead(request.url === "/moved" ? 200 : 301, { location: "/moved" }).end("{}");
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const reported = await send(`http://127.0.0.1:${server.address().port}`);
  console.log(`${name}: ${arrived.join(", ")}; reported: ${reported}`);
  server.close();
}

await attempt("posthog-node", async (host) => {
  const client = new PostHog("key", { host, flushAt: 1 });
  let errors = 0;
  client.on("error", () => errors++);
  client.capture({ distinctId: "u", event: "viewed" });
  await client.shutdown(5000);
  return `${errors} errors`;
});
await attempt("@segment/analytics-node", async (host) => {
  const client = new Analytics({ writeKey: "key", host });
  let told = "nothing";
  client.track({ userId: "u", event: "viewed" }, (error) => (told = error ? "an error" : "delivered"));
  await client.closeAndFlush({ timeout: 5000 });
  return told;
});
await attempt("@rudderstack/rudder-sdk-node", async (dataPlaneUrl) => {
  const client = new Rudder("key", { dataPlaneUrl, flushAt: 1 });
  return new Promise((told) =>
    client.track({ userId: "u", event: "viewed" }, (error) => told(error ? "an error" : "delivered")),
  );
});
await attempt("@snowplow/node-tracker", (endpoint) => {
  return new Promise((told) => {
    const tracker = newTracker(
      { namespace: "n", appId: "a" },
      { endpoint, bufferSize: 1, onRequestSuccess: () => told("delivered"), onRequestFailure: () => told("an error") },
    );
    tracker.track(buildStructEvent({ category: "feed", action: "viewed" }));
  });
});
await attempt("@jitsu/js", async (host) => {
  const client = jitsuAnalytics({ host, writeKey: "id:secret" });
  return client.track("viewed").then(
    () => "delivered",
    () => "an error",
  );
});
process.exit(0);
JS
seen=$(timeout 60 node try.mjs 2>/dev/null)
expected='posthog-node: GET with 0 bytes; reported: 0 errors
@segment/analytics-node: GET with 0 bytes; reported: delivered
@rudderstack/rudder-sdk-node: GET with 0 bytes; reported: delivered
@snowplow/node-tracker: GET with 0 bytes; reported: delivered
@jitsu/js: GET with 0 bytes; reported: delivered'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
