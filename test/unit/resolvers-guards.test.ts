import { type GraphQLField, type GraphQLResolveInfo, isObjectType } from "graphql";
import { describe, expect, test } from "vitest";
import type { Caller } from "../../src/domain/caller.ts";
import type { ResolverDependencies } from "../../src/resolvers/context.ts";
import { createContextFactory } from "../../src/resolvers/context.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";

/**
 * Every field of every object type is guarded, or stands in the list below. A field that is neither fails here, until
 * it is decided which of the two it is.
 */

/** Plain values of an object that a guarded field has answered: who may have the object may have them. */
const PLAIN: Readonly<Record<string, readonly string[]>> = {
  DeadLetter: ["deliveries", "detail", "failedAt", "id", "payload", "reason"],
  DeadLetterAction: ["done", "matched", "next", "skipped"],
  DeadLetterConnection: ["edges", "nodes", "pageInfo"],
  DeadLetterEdge: ["cursor", "node"],
  Erasure: ["finishedAt", "id", "rowsDeleted", "status", "userId"],
  PageInfo: ["endCursor", "hasNextPage", "hasPreviousPage", "startCursor"],
  Pipeline: ["database", "engine", "workers"],
  Post: ["id"],
  PostViewer: ["lastViewedAt", "user", "views"],
  PostViewerConnection: ["edges", "nodes", "pageInfo"],
  PostViewerEdge: ["cursor", "node"],
  RecordImpressionsPayload: ["accepted", "flushAfterMs", "receivedAt"],
  SeenPost: ["dwellMs", "lastViewedAt", "position", "post", "surface", "views"],
  SeenPostConnection: ["edges", "nodes", "pageInfo"],
  SeenPostEdge: ["cursor", "node"],
  User: ["id"],
  WorkerStatus: ["concurrency", "id", "impressionsStored", "state", "storeHealthy"],
};

/** Types that only these scopes reach: a field that leads to one of them from elsewhere opens it to others. */
const REACHED_BY: Readonly<Record<string, readonly string[]>> = {
  "impressions:write": ["RecordImpressionsPayload"],
  "impressions:read": [
    "PageInfo",
    "Post",
    "PostViewer",
    "PostViewerConnection",
    "PostViewerEdge",
    "SeenPost",
    "SeenPostConnection",
    "SeenPostEdge",
    "User",
  ],
  "impressions:admin": [
    "DeadLetter",
    "DeadLetterAction",
    "DeadLetterConnection",
    "DeadLetterEdge",
    "Erasure",
    "PageInfo",
    "Pipeline",
    "WorkerStatus",
  ],
};

const schema = buildGraphQLSchema();
const objectTypes = Object.values(schema.getTypeMap())
  .filter(isObjectType)
  .filter(({ name }) => !name.startsWith("__"));

/** Whatever a resolver asks for before its guard has spoken. */
const untouchable = new Proxy({} as ResolverDependencies, {
  get(_, name) {
    throw new Error(`${String(name)} was reached`);
  },
});
const NOBODY: Caller = { subject: "maria", scopes: new Set(), limited: true };

type Field = GraphQLField<unknown, unknown>;

/** The scope that the field requires, as seen without any scope; null where it requires none. */
async function scopeOf(field: Field): Promise<string | null> {
  const context = createContextFactory(untouchable)({ caller: NOBODY, address: () => null });
  try {
    await field.resolve?.({}, {}, context, {} as GraphQLResolveInfo);
    return null;
  } catch (error) {
    const [, scope] = /^This needs a token with the scope (\S+)\.$/.exec((error as Error).message) ?? [];
    return scope ?? null;
  }
}

describe("every field", () => {
  test("is guarded, or a plain value of what a guarded field answered", async () => {
    const unguarded: Record<string, string[]> = {};
    for (const type of objectTypes) {
      for (const field of Object.values(type.getFields())) {
        if ((await scopeOf(field)) !== null) continue;
        unguarded[type.name] = [...(unguarded[type.name] ?? []), field.name].sort();
      }
    }
    expect(unguarded).toEqual(PLAIN);
  });

  test("leads where its scope may go", async () => {
    const reached: Record<string, string[]> = {};
    for (const root of [schema.getQueryType(), schema.getMutationType()]) {
      for (const field of Object.values(root?.getFields() ?? {})) {
        const scope = (await scopeOf(field)) ?? "everybody";
        reached[scope] = [...new Set([...(reached[scope] ?? []), ...reachableFrom(field)])].sort();
      }
    }
    expect(reached).toEqual(REACHED_BY);
  });
});

function reachableFrom(field: Field, seen = new Set<string>()): Set<string> {
  const name = String(field.type).replaceAll(/[[\]!]/g, "");
  const type = schema.getType(name);
  if (!isObjectType(type) || seen.has(name)) return seen;
  seen.add(name);
  for (const next of Object.values(type.getFields())) reachableFrom(next, seen);
  return seen;
}
