// A Node program that knows what was on its screen: node kiosk.js http://127.0.0.1:4000/graphql
import { createImpressions, fileStorage } from "@impressions/client/node";

const impressions = createImpressions({
  endpoint: process.argv[2] ?? "http://127.0.0.1:4000/graphql",
  userId: "kiosk-1",
  storage: fileStorage("./kiosk-views"),
  onError: ({ code, message, retryAfterMs }) => console.error(code, message, retryAfterMs ?? ""),
});

for (let position = 0; position < 25; position++) {
  impressions.viewed(`post-${position}`, { surface: "KIOSK", position, dwellMs: 4_000 });
}
console.log(await impressions.close());
