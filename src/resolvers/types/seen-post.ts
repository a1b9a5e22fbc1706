import { Field, ObjectType } from "type-graphql";
import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import type { SeenPostRow } from "../../domain/walk.ts";
import { DateTime } from "../scalars/date-time.ts";
import { Int } from "../scalars/json-numbers.ts";
import { PageInfo } from "./page-info.ts";

const VIEWS = `How often this user viewed this post inside the asked window. Exact up to ${VIEWS_COUNT_MAX}, which means so many or more.`;

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
