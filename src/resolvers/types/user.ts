import { Field, ObjectType } from "type-graphql";
import { ID } from "../scalars/json-numbers.ts";

/** A user, known by its id alone; what it has seen is in resolvers/users.ts. */
@ObjectType({
  simpleResolvers: true,
  description:
    "Somebody who views posts. Users are known by their id alone: any valid id is a user, with or without views.",
})
export class User {
  @Field(() => ID)
  readonly id!: string;
}
