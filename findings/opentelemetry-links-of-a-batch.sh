#!/usr/bin/env bash
# @opentelemetry/sdk-trace-base 2.12.1: a span may have 128 links, and of more the *last* 128 stay, whether they are given
# at the start or added later. A worker's span that links to the 1,000 messages of its batch, as the messaging
# conventions ask, shows the end of the batch only; nothing is logged, and droppedLinksCount says 872. (Attributes and
# events beyond their limit are another matter: there the first attributes stay.) Runs the pinned packages in a temporary
# folder; fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @opentelemetry/api@1.9.1 @opentelemetry/sdk-trace-base@2.12.1
cat >try.mjs <<'JS'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = provider.getTracer("worker");
const message = (number) => ({
  context: {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: number.toString(16).padStart(16, "0"),
    traceFlags: 1,
  },
});
const messages = Array.from({ length: 1000 }, (_, index) => message(index + 1));

const started = tracer.startSpan("at the start", { links: messages });
for (let index = 1; index <= 1000; index++) started.setAttribute(`attribute-${index}`, index);
started.end();
const added = tracer.startSpan("added");
added.addLinks(messages);
added.end();

const numberOf = (link) => Number.parseInt(link.context.spanId, 16);
for (const { name, links, droppedLinksCount, attributes } of exporter.getFinishedSpans()) {
  const kept = Object.keys(attributes);
  const ofAttributes = kept.length === 0 ? "" : `; attributes ${kept[0]} to ${kept.at(-1)}`;
  console.log(`${name}: links ${numberOf(links[0])} to ${numberOf(links.at(-1))}, ${droppedLinksCount} dropped${ofAttributes}`);
}
JS
seen=$(node try.mjs)
expected='at the start: links 873 to 1000, 872 dropped; attributes attribute-1 to attribute-128
added: links 873 to 1000, 872 dropped'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
