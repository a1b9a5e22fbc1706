import { Field, ObjectType } from "type-graphql";

/** Relay's PageInfo. */
@ObjectType({
  simpleResolvers: true,
  description:
    "Where a page stands in its walk. A page can hold fewer edges than asked, even none: ask again with " +
    "`after: endCursor` until `hasNextPage` is false.",
})
export class PageInfo {
  @Field(() => Boolean, { description: "Whether there may be more. While true, `endCursor` is never null." })
  readonly hasNextPage!: boolean;

  @Field(() => Boolean, {
    description: "Whether this page was asked for with `after`. Walks go forward only.",
  })
  readonly hasPreviousPage!: boolean;

  @Field(() => String, {
    nullable: true,
    description: "The first edge's cursor; null where there are no edges.",
  })
  readonly startCursor!: string | null;

  @Field(() => String, { nullable: true, description: "Pass it as `after` to go on." })
  readonly endCursor!: string | null;
}
