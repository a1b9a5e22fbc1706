import { Field, ObjectType } from "type-graphql";
import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import type { PostViewerRow } from "../../domain/walk.ts";
import { DateTime } from "../scalars/date-time.ts";
import { Int } from "../scalars/json-numbers.ts";
import { PageInfo } from "./page-info.ts";

const VIEWS = `How often this user viewed the post inside the asked window. Exact up to ${VIEWS_COUNT_MAX}, which means so many or more.`;

/** One viewer of a post; its `user` is in resolvers/users.ts. */
@ObjectType({ simpleResolvers: true, description: "One user who viewed a post." })
export class PostViewer implements PostViewerRow {
  readonly userId!: string;

  @Field(() => DateTime, {
    name: "lastViewedAt",
    simple: false,
    description: "The user's most recent view inside the asked window",
  })
  readonly lastViewedAtMs!: number;

  @Field(() => Int, { description: VIEWS })
  readonly views!: number;
}

@ObjectType({ simpleResolvers: true })
export class PostViewerEdge {
  @Field(() => String, { description: "Pass it as `after` to go on behind this viewer." })
  readonly cursor!: string;

  @Field(() => PostViewer)
  readonly node!: PostViewer;
}

@ObjectType({
  simpleResolvers: true,
  description:
    "A page of a post's viewers. It can hold fewer edges than asked, even none: walk until `hasNextPage` is false.",
})
export class PostViewerConnection {
  @Field(() => [PostViewerEdge])
  readonly edges!: PostViewerEdge[];

  @Field(() => [PostViewer], { description: "The nodes of the edges" })
  readonly nodes!: PostViewer[];

  @Field(() => PageInfo)
  readonly pageInfo!: PageInfo;
}
