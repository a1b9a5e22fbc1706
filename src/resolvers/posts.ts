import type { GraphQLResolveInfo } from "graphql";
import { Arg, Args, Authorized, Ctx, FieldResolver, Info, Query, Resolver, Root } from "type-graphql";
import type { Scope } from "../domain/caller.ts";
import type { PostViewerRow } from "../domain/walk.ts";
import { checkId, checkNodeIds } from "./arguments.ts";
import { type Connection, WalkArgs } from "./connection.ts";
import type { RequestContext } from "./context.ts";
import { ID } from "./scalars.ts";
import { Post, PostViewerConnection, SeenPost } from "./view-types.ts";
import { readWalk } from "./walks.ts";

const POST_VIEWERS = "Each user who viewed the post, once, most recent first.";

/** Who viewed posts. */
@Authorized<Scope>("impressions:read")
@Resolver(() => Post)
export class PostResolver {
  @Query(() => PostViewerConnection, { description: POST_VIEWERS })
  postViewers(
    @Arg("postId", () => ID) postId: string,
    @Args(() => WalkArgs) args: WalkArgs,
    @Ctx() context: RequestContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<PostViewerRow>> {
    checkId("postId", postId);
    return readViewers(postId, args, context, info);
  }

  @Query(() => Post, { description: "A post by id, to ask about." })
  post(@Arg("id", () => ID) id: string): Post {
    checkId("id", id);
    return { id };
  }

  @Query(() => [Post], { description: "Posts by id, one for each id, in the order given. At most 100." })
  posts(@Arg("ids", () => [ID]) ids: string[]): Post[] {
    checkNodeIds(ids);
    return ids.map((id) => ({ id }));
  }

  @FieldResolver(() => PostViewerConnection, { description: POST_VIEWERS })
  viewers(
    @Root() post: Post,
    @Args(() => WalkArgs) args: WalkArgs,
    @Ctx() context: RequestContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<PostViewerRow>> {
    return readViewers(post.id, args, context, info);
  }
}

@Resolver(() => SeenPost)
export class SeenPostResolver {
  @FieldResolver(() => Post)
  post(@Root() seen: SeenPost): Post {
    return { id: seen.postId };
  }
}

function readViewers(
  postId: string,
  args: WalkArgs,
  context: RequestContext,
  info: GraphQLResolveInfo,
): Promise<Connection<PostViewerRow>> {
  return readWalk(
    {
      connection: "postViewers",
      ownerId: postId,
      load: (request) => context.loaders.postViewers.load(request),
      positionOf: (row) => ({ viewedAtMs: row.lastViewedAtMs, id: row.userId }),
    },
    args,
    context,
    info,
  );
}
