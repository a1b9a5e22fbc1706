import fc from "fast-check";

/**
 * Random queries of users, their pages, posts and viewers, with aliases, fragments and conditions on `$yes: Boolean!`.
 *
 * @param ids what to ask about; may hold invalid ones.
 */
export function arbitraryQuery(ids: readonly string[], firstMin: number): fc.Arbitrary<string> {
  const id = fc.constantFrom(...ids);
  const first = fc.integer({ min: firstMin, max: 6 });
  const condition = fc.constantFrom("", "", "", "@include(if: $yes)", "@skip(if: $yes)");
  let aliases = 0;
  const alias = () => `a${aliases++}`;
  /** Something deeper, or nothing. */
  const perhaps = (inner: fc.Arbitrary<string>, nil = "") =>
    fc.option(inner, { maxDepth: 4, depthSize: "max", depthIdentifier: "levels", nil });
  const { query } = fc.letrec<Record<"query" | "user" | "seen" | "post" | "viewers", string>>((tie) => ({
    user: fc
      .tuple(condition, condition, perhaps(tie("seen")))
      .map(([c, d, seen]) => `id ${c} ... on User ${d} { ${alias()}: id } ${seen}`),
    seen: fc
      .tuple(first, condition, perhaps(tie("post")))
      .map(
        ([n, c, post]) =>
          `${alias()}: seenPosts(first: ${n}) ${c} { nodes { views lastViewedAt ${post} } pageInfo { hasNextPage endCursor } }`,
      ),
    post: fc.tuple(condition, perhaps(tie("viewers"))).map(([c, viewers]) => `post ${c} { id ${viewers} }`),
    viewers: fc
      .tuple(first, perhaps(tie("user"), "id"))
      .map(([n, user]) => `${alias()}: viewers(first: ${n}) { edges { cursor node { user { ${user} } } } }`),
    query: fc
      .array(fc.tuple(id, tie("user"), condition), { minLength: 1, maxLength: 3 })
      .map(
        (roots) =>
          `query Random($yes: Boolean!) { t: __typename @skip(if: $yes) ${roots.map(([user, fields, c]) => `${alias()}: user(id: "${user}") ${c} { ${fields} }`).join(" ")} }`,
      ),
  }));
  return query;
}
