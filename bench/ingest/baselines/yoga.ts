// (b) GraphQL Yoga on Node's HTTP server, its caches of parsed and validated documents as they come; one message a request.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createYoga } from "graphql-yoga";
import { openPublisher } from "./publish-one.ts";
import { schemaThat } from "./schema.ts";

const yoga = createYoga({
  schema: schemaThat(await openPublisher()),
  logging: false,
  graphiql: false,
  landingPage: false,
  multipart: false,
});
const server = createServer(yoga);
server.listen(0, "127.0.0.1", () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
