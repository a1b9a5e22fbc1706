// (c) Mercurius on Fastify, every document compiled at its first request; one message a request.

import Fastify from "fastify";
import mercurius from "mercurius";
import { openPublisher } from "./publish-one.ts";
import { schemaThat } from "./schema.ts";

const fastify = Fastify();
fastify.register(mercurius, { schema: schemaThat(await openPublisher()), jit: 1, graphiql: false });
process.send?.(await fastify.listen({ port: 0, host: "127.0.0.1" }));
