import type { GraphQLResolveInfo } from "graphql";
import { Arg, Args, Authorized, Ctx, FieldResolver, Info, Query, Resolver, Root } from "type-graphql";
import type { Scope } from "../domain/caller.ts";
import type { SeenPostRow } from "../domain/walk.ts";
import { unseenAmong } from "../domain/walk.ts";
import { checkId, checkNodeIds, checkSeenRule } from "./arguments.ts";
import { type Connection, WalkArgs } from "./connection.ts";
import type { RequestContext } from "./context.ts";
import { ID } from "./scalars.ts";
import { PostViewer, SeenPostConnection, SeenRuleInput, User } from "./view-types.ts";
import { readWalk } from "./walks.ts";

const SEEN_POSTS = "Each post the user has seen, once, most recently seen first.";
const UNSEEN_POSTS =
  "The candidates this user has not seen, in the order given, each once. At most 1000 candidates. Costs 300, and 2 for each " +
  "candidate (docs/query-cost.md).";
const ANY_VIEW: SeenRuleInput = { minViews: 1, minDwellMs: 0 };

/** What users have seen. */
@Authorized<Scope>("impressions:read")
@Resolver(() => User)
export class UserResolver {
  @Query(() => SeenPostConnection, { description: SEEN_POSTS })
  seenPosts(
    @Arg("userId", () => ID) userId: string,
    @Args(() => WalkArgs) args: WalkArgs,
    @Ctx() context: RequestContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<SeenPostRow>> {
    checkId("userId", userId);
    return readSeenPosts(userId, args, context, info);
  }

  @Query(() => [ID], { description: UNSEEN_POSTS })
  unseenPosts(
    @Arg("userId", () => ID) userId: string,
    @Arg("candidates", () => [ID]) candidates: string[],
    @Arg("rule", () => SeenRuleInput, { nullable: true }) rule: SeenRuleInput | null | undefined,
    @Ctx() context: RequestContext,
  ): Promise<string[]> {
    checkId("userId", userId);
    return readUnseenPosts(userId, candidates, rule ?? ANY_VIEW, context);
  }

  @Query(() => User, { description: "A user by id, to ask about." })
  user(@Arg("id", () => ID) id: string): User {
    checkId("id", id);
    return { id };
  }

  @Query(() => [User], { description: "Users by id, one for each id, in the order given. At most 100." })
  users(@Arg("ids", () => [ID]) ids: string[]): User[] {
    checkNodeIds(ids);
    return ids.map((id) => ({ id }));
  }

  @FieldResolver(() => SeenPostConnection, { name: "seenPosts", description: SEEN_POSTS })
  seenPostsOfUser(
    @Root() user: User,
    @Args(() => WalkArgs) args: WalkArgs,
    @Ctx() context: RequestContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<SeenPostRow>> {
    return readSeenPosts(user.id, args, context, info);
  }

  @FieldResolver(() => [ID], { name: "unseenPosts", description: UNSEEN_POSTS })
  unseenPostsOfUser(
    @Root() user: User,
    @Arg("candidates", () => [ID]) candidates: string[],
    @Arg("rule", () => SeenRuleInput, { nullable: true }) rule: SeenRuleInput | null | undefined,
    @Ctx() context: RequestContext,
  ): Promise<string[]> {
    return readUnseenPosts(user.id, candidates, rule ?? ANY_VIEW, context);
  }
}

@Resolver(() => PostViewer)
export class PostViewerResolver {
  @FieldResolver(() => User)
  user(@Root() viewer: PostViewer): User {
    return { id: viewer.userId };
  }
}

function readSeenPosts(
  userId: string,
  args: WalkArgs,
  context: RequestContext,
  info: GraphQLResolveInfo,
): Promise<Connection<SeenPostRow>> {
  return readWalk(
    {
      connection: "seenPosts",
      ownerId: userId,
      load: (request) => context.loaders.seenPosts.load(request),
      positionOf: (row) => ({ viewedAtMs: row.lastViewedAtMs, id: row.postId }),
    },
    args,
    context,
    info,
  );
}

async function readUnseenPosts(
  userId: string,
  candidates: readonly string[],
  rule: SeenRuleInput,
  context: RequestContext,
): Promise<string[]> {
  checkSeenRule(rule);
  const list = context.candidates.of(candidates);
  if (list.postIds.length === 0) return [];
  const oldestMs = context.nowMs - context.deps.retentionMs;
  const seen = await context.loaders.seenAmong.load({
    userId,
    candidates: list,
    rule: {
      minViews: rule.minViews,
      minDwellMs: rule.minDwellMs,
      sinceMs: Math.max(rule.since ?? oldestMs, oldestMs),
    },
  });
  return unseenAmong(list.postIds, seen);
}
