import { createInterface } from "node:readline";
import { createImpressions, fileStorage } from "../../../client/src/node.ts";

/**
 * An app in a process of its own, to be killed:
 *
 *   node app-process.ts <endpoint> <storage directory> <user>
 *
 * Reads `view FROM TO` and `flush` from stdin, and says its status in a line of JSON after each.
 */
const [endpoint = "", directory = "", userId = ""] = process.argv.slice(2);
const impressions = createImpressions({
  endpoint,
  userId,
  storage: fileStorage(directory),
  backoffMs: 50,
  backoffMsMax: 200,
});
for await (const line of createInterface({ input: process.stdin })) {
  const [command, from = "0", to = "0"] = line.split(" ");
  if (command === "view")
    for (let index = Number(from); index < Number(to); index++) impressions.viewed(`post-${index}`);
  // A pass ends when what waits is saved and the attempt has been made.
  const status = await impressions.flush();
  process.stdout.write(`${JSON.stringify(status)}\n`);
}
