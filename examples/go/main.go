// Which of these candidates have these users not seen, and what has the first of them seen?
//
//	go run . maria,jakob post-1 post-2 post-3
package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	usersMax    = 100 // users in one request
	pageSize    = 100 // at most 500
	attemptsMax = 5
	timeout     = 10 * time.Second

	unseenPosts = `query UnseenPosts($userId: ID!, $candidates: [ID!]!, $rule: SeenRule) {
		unseenPosts(userId: $userId, candidates: $candidates, rule: $rule)
	}`
	unseenPostsForUsers = `query UnseenPostsForUsers($userIds: [ID!]!, $candidates: [ID!]!, $rule: SeenRule) {
		users(ids: $userIds) { id unseenPosts(candidates: $candidates, rule: $rule) }
	}`
	seenPosts = `query SeenPosts($userId: ID!, $first: Int!, $after: String) {
		seenPosts(userId: $userId, first: $first, after: $after) {
			nodes { post { id } lastViewedAt views }
			pageInfo { hasNextPage endCursor }
		}
	}`
)

type (
	variables map[string]any

	// User has the candidates that the user has not seen, in the order given.
	User struct {
		ID          string
		UnseenPosts []string
	}
	SeenPost struct {
		Post         struct{ ID string }
		LastViewedAt time.Time
		Views        int
	}
	Rule struct {
		Since *time.Time `json:"since,omitempty"`
	}
)

// Unseen answers for one user and at most 1000 candidates.
func (c Client) Unseen(ctx context.Context, userID string, candidates []string, rule Rule) ([]string, error) {
	var data struct{ UnseenPosts []string }
	err := c.ask(ctx, unseenPosts, variables{"userId": userID, "candidates": candidates, "rule": rule}, &data)
	return data.UnseenPosts, err
}

// UnseenForUsers answers for many users, with one request for each hundred of them.
func (c Client) UnseenForUsers(ctx context.Context, userIDs, candidates []string, rule Rule) ([]User, error) {
	var users []User
	for batch := range slices.Chunk(userIDs, usersMax) {
		var data struct{ Users []User }
		vars := variables{"userIds": batch, "candidates": candidates, "rule": rule}
		if err := c.ask(ctx, unseenPostsForUsers, vars, &data); err != nil {
			return nil, err
		}
		users = append(users, data.Users...)
	}
	return users, nil
}

// History gives each post that the user has seen, newest first. Pages may be empty: hasNextPage says when to stop.
func (c Client) History(ctx context.Context, userID string) iter.Seq2[SeenPost, error] {
	return func(yield func(SeenPost, error) bool) {
		for after, more := (*string)(nil), true; more; {
			var data struct {
				SeenPosts struct {
					Nodes    []SeenPost
					PageInfo struct {
						HasNextPage bool
						EndCursor   *string
					}
				}
			}
			err := c.ask(ctx, seenPosts, variables{"userId": userID, "first": pageSize, "after": after}, &data)
			if err != nil {
				yield(SeenPost{}, err)
				return
			}
			for _, post := range data.SeenPosts.Nodes {
				if !yield(post, nil) {
					return
				}
			}
			after, more = data.SeenPosts.PageInfo.EndCursor, data.SeenPosts.PageInfo.HasNextPage
		}
	}
}

func run(ctx context.Context, c Client, userIDs, candidates []string) error {
	// A post may come back when it was last seen a month ago.
	monthAgo := time.Now().UTC().AddDate(0, 0, -30)
	rule := Rule{Since: &monthAgo}

	unseen, err := c.Unseen(ctx, userIDs[0], candidates, rule)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(append([]string{userIDs[0] + " has not seen:"}, unseen...), " "))

	users, err := c.UnseenForUsers(ctx, userIDs, candidates, rule)
	if err != nil {
		return err
	}
	fmt.Println("all users, in one request:")
	for _, user := range users {
		fmt.Println(strings.Join(append([]string{user.ID + ":"}, user.UnseenPosts...), " "))
	}

	fmt.Println(userIDs[0], "has seen:")
	for seen, err := range c.History(ctx, userIDs[0]) {
		if err != nil {
			return err
		}
		fmt.Printf("%s %s %dx\n", seen.LastViewedAt.Format("2006-01-02T15:04:05.000Z"), seen.Post.ID, seen.Views)
	}
	return nil
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: go run . USER[,USER...] [CANDIDATE...]")
	}
	client := Client{
		URL:   cmp.Or(os.Getenv("IMPRESSIONS_URL"), "http://127.0.0.1:4000") + "/graphql",
		Token: os.Getenv("IMPRESSIONS_TOKEN"),
		HTTP:  &http.Client{Timeout: timeout},
	}
	if err := run(context.Background(), client, strings.Split(os.Args[1], ","), os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}
