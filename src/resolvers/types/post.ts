import { Field, ObjectType } from "type-graphql";
import { ID } from "../scalars/json-numbers.ts";

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
