import { Field, InputType, ObjectType } from "type-graphql";
import { VIEWS_COUNT_MAX } from "../domain/limits.ts";
import type { PostViewerRow, SeenPostRow } from "../domain/walk.ts";
import { PageInfo } from "./connection.ts";
import { DateTime, ID, Int } from "./scalars.ts";

/** A post, known by its id alone; who viewed it is in resolvers/posts.ts. */
@ObjectType({
  simpleResolvers: true,
  description:
    "Something shown in the feed. Posts are known by their id alone: any valid id is a post, with or without views.",
})
export class Post {
  @Field(() => ID)
  readonly id!: string;
}

/** A user, known by its id alone; what it has seen is in resolvers/users.ts. */
@ObjectType({
  simpleResolvers: true,
  description:
    "A viewer of posts. Users are known by their id alone: any valid id is a user, with or without views.",
})
export class User {
  @Field(() => ID)
  readonly id!: string;
}

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

/** One post in a user's history; its `post` is in resolvers/posts.ts. */
@ObjectType({
  simpleResolvers: true,
  description:
    "One post in a user's history. The view fields are those of the most recent view inside the asked window.",
})
export class SeenPost implements SeenPostRow {
  readonly postId!: string;

  // A simple field is read by its GraphQL name; this one has its unit in its own name.
  @Field(() => DateTime, { name: "lastViewedAt", simple: false })
  readonly lastViewedAtMs!: number;

  @Field(() => Int, { description: VIEWS })
  readonly views!: number;

  @Field(() => String, { nullable: true, description: "Where in the app it was shown, if the client said" })
  readonly surface!: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "Place in the list that was shown, from 0, if the client said",
  })
  readonly position!: number | null;

  @Field(() => Int, { nullable: true, description: "How long it stayed on the screen, if the client said" })
  readonly dwellMs!: number | null;
}

@ObjectType({ simpleResolvers: true })
export class SeenPostEdge {
  @Field(() => String, { description: "Pass it as `after` to go on behind this post." })
  readonly cursor!: string;

  @Field(() => SeenPost)
  readonly node!: SeenPost;
}

@ObjectType({
  simpleResolvers: true,
  description:
    "A page of a user's history. It can hold fewer edges than asked, even none: walk until `hasNextPage` is false.",
})
export class SeenPostConnection {
  @Field(() => [SeenPostEdge])
  readonly edges!: SeenPostEdge[];

  @Field(() => [SeenPost], { description: "The nodes of the edges" })
  readonly nodes!: SeenPost[];

  @Field(() => PageInfo)
  readonly pageInfo!: PageInfo;
}

@InputType("SeenRule", {
  description:
    "When does a post count as seen? By default: one view within the retention. Looks at the newest " +
    `${VIEWS_COUNT_MAX} views of a post.`,
})
export class SeenRuleInput {
  @Field(() => Int, {
    defaultValue: 1,
    description: `Seen only after this many views, 1 to ${VIEWS_COUNT_MAX}`,
  })
  readonly minViews!: number;

  @Field(() => Int, {
    defaultValue: 0,
    description: "Views shorter than this don't count; a view without dwellMs counts only where this is 0",
  })
  readonly minDwellMs!: number;

  @Field(() => DateTime, {
    nullable: true,
    description: "Only views at or after this instant count, so a post may return after a while",
  })
  readonly since?: number | null;
}
