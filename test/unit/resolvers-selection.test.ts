import { type FragmentDefinitionNode, Kind, parse } from "graphql";
import { expect, test } from "vitest";
import { selectsViews } from "../../src/resolvers/selection.ts";

function selectsViewsIn(document: string): boolean {
  const { definitions } = parse(document);
  const operation = definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined) throw new Error("no operation");
  const fragments = definitions.filter(
    (definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION,
  );
  const info = { operation, fragments: Object.fromEntries(fragments.map((one) => [one.name.value, one])) };
  const first = selectsViews(info);
  expect(selectsViews(info)).toBe(first);
  return first;
}

test.each([
  [`{ seenPosts(userId: "u") { nodes { post { id } views } } }`, true],
  [`{ postViewers(postId: "p") { edges { node { count: views } } } }`, true],
  [`{ postViewers(postId: "p") { nodes { ... on PostViewer { views } } } }`, true],
  [
    `{ postViewers(postId: "p") { ...page } } fragment page on PostViewerConnection { nodes { views } }`,
    true,
  ],
  [`query ($on: Boolean!) { postViewers(postId: "p") { nodes { views @include(if: $on) } } }`, true],
  [`{ post(id: "p") { viewers { nodes { user { seenPosts { nodes { views } } } } } } }`, true],
  [`{ postViewers(postId: "p") { nodes { user { id } } pageInfo { endCursor } } }`, false],
  [`{ seenPosts(userId: "u") { nodes { views: position lastViewedAt } } }`, false],
])("whether views are counted for %s: %s", (document, expected) => {
  expect(selectsViewsIn(document)).toBe(expected);
});
