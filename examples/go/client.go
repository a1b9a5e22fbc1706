package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Client asks over HTTP. It may be used from many goroutines at once.
type Client struct {
	URL   string
	Token string
	HTTP  *http.Client
}

// Error is what the service answers instead of data. Decide by Extensions.Code, never by the message.
type Error struct {
	Message    string
	Extensions struct {
		Code         string
		RetryAfterMs int
	}
}

func (e *Error) Error() string { return e.Extensions.Code + ": " + e.Message }

// ask asks again after 429, 503 and lost connections, no sooner than the service says.
func (c Client) ask(ctx context.Context, query string, vars variables, data any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		wait, err := c.try(ctx, body, data)
		if err == nil || wait == 0 || attempt == attemptsMax {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// try asks once. With an error it says how long to wait before the next attempt: 0 if asking again would not help.
func (c Client) try(ctx context.Context, body []byte, data any) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return time.Second, err
	}
	defer response.Body.Close()

	answer := struct {
		Data   any
		Errors []*Error
	}{Data: data}
	err = json.NewDecoder(response.Body).Decode(&answer)
	switch {
	case err == nil && len(answer.Errors) == 0 && response.StatusCode == http.StatusOK:
		return 0, nil
	case err == nil && len(answer.Errors) > 0:
		return time.Duration(answer.Errors[0].Extensions.RetryAfterMs) * time.Millisecond, answer.Errors[0]
	}
	// Not the service's words: a proxy on the way.
	err = fmt.Errorf("%s answered %s", c.URL, response.Status)
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return 0, err
	}
	if seconds, parseErr := strconv.Atoi(response.Header.Get("Retry-After")); parseErr == nil {
		return time.Duration(seconds) * time.Second, err
	}
	return time.Second, err
}
