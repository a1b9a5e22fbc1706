import type { FastifyInstance, FastifyReply } from "fastify";

interface Place {
  readonly path: string;
  readonly what: string;
}

/** Where everything is: `/` for people and programs, and what an unknown path answers. */
export function registerHome(
  fastify: FastifyInstance,
  options: { readonly version: string; readonly playground: boolean; readonly metrics: boolean },
): void {
  const places: Place[] = [
    { path: "/graphql", what: "the GraphQL API (POST a JSON body with query and variables)" },
    ...(options.playground ? [{ path: "/playground", what: "GraphiQL with the documented operations" }] : []),
    { path: "/healthz", what: "200 while the process lives" },
    { path: "/readyz", what: "200 while requests are welcome here, else 503" },
    ...(options.metrics ? [{ path: "/metrics", what: "what this process measures, for Prometheus" }] : []),
  ];
  const overview = {
    name: "impressions",
    version: options.version,
    places: Object.fromEntries(places.map(({ path, what }) => [path, what])),
    docs: "docs/ and schema/schema.graphql in the package; error codes in docs/errors.md",
  };
  const page = homePage(options.version, places);

  fastify.get("/", async (request, reply) => {
    reply.header("vary", "accept");
    if (!request.headers.accept?.includes("text/html")) return reply.send(overview);
    return reply
      .header("content-type", "text/html; charset=utf-8")
      .header(
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
      )
      .send(page);
  });
  fastify.setNotFoundHandler((request, reply) => notFound(reply, request.method, request.url, places));
}

function notFound(reply: FastifyReply, method: string, url: string, places: readonly Place[]): FastifyReply {
  const path = url.split("?", 1)[0]?.slice(0, 200) ?? "";
  const known = places.map((place) => place.path).join(", ");
  const message = `There is nothing at ${method} ${path}. Look at / for an overview; there are ${known}.`;
  return reply.code(404).send({ errors: [{ message, extensions: { code: "BAD_USER_INPUT" } }] });
}

function homePage(version: string, places: readonly Place[]): string {
  const rows = places
    .map(({ path, what }) => `<dt><a href=".${path}">${path}</a></dt><dd>${what}</dd>`)
    .join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Impressions</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 3rem auto; padding: 0 1rem; max-width: 42rem; }
dt { font-family: ui-monospace, monospace; }
dd { margin: 0 0 .75rem; }
</style>
</head>
<body>
<h1>Impressions ${version}</h1>
<p>Records which user viewed which post, and answers recommenders' questions about it.</p>
<dl>
${rows}
</dl>
<p>The documentation is in <code>docs/</code>, the schema in <code>schema/schema.graphql</code>, the meaning of every
error code in <code>docs/errors.md</code> of the package.</p>
</body>
</html>
`;
}
