// (a) The route that people would write by hand: Fastify, the same JSON, one message a request.

import { serveBareRoute } from "./fastify.ts";
import { openPublisher } from "./publish-one.ts";

await serveBareRoute(await openPublisher());
