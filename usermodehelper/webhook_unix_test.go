//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hookRules are the rules of a webhook that a test may change.
type hookRules struct {
	timeout         time.Duration
	limit           int64
	places, waiting int
}

var wide = hookRules{timeout: time.Minute, limit: 1 << 20, places: 2, waiting: 4}

// A hookForm makes a webhook.
type hookForm func(log *slog.Logger, script string, rules hookRules) http.Handler

func helperHook(log *slog.Logger, script string, rules hookRules) http.Handler {
	h := newWebhook(log, script)
	h.timeout, h.limit, h.gate.Max, h.gate.Queue = rules.timeout, rules.limit, rules.places, rules.waiting
	return h
}

func execHook(log *slog.Logger, script string, rules hookRules) http.Handler {
	h := newPlainWebhook(log, script)
	h.timeout, h.limit = rules.timeout, rules.limit
	h.present, h.places = make(chan struct{}, rules.places+rules.waiting), make(chan struct{}, rules.places)
	return h
}

// A site is a server with a webhook, and a client of it.
type site struct {
	t      *testing.T
	server *httptest.Server
	log    logLines
	over   chan bool // gets an element when a handler has returned
}

// eachHook runs a test for both forms of the webhook. All handlers have returned after it.
func eachHook(t *testing.T, test func(*testing.T, func(script string, rules hookRules) *site)) {
	eachForm[hookForm](t, helperHook, execHook, func(t *testing.T, form hookForm) {
		var server *httptest.Server
		test(t, func(script string, rules hookRules) *site {
			log, over := make(logLines, 100), make(chan bool, 100)
			hook := form(log.logger(), script, rules)
			server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { over <- true }()
				hook.ServeHTTP(w, r)
			}))
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			server.Start()
			return &site{t, server, log, over}
		})
		server.Close()
	})
}

// post sends a body, and returns the answer when its head has come.
func (s *site) post(ctx context.Context, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL, body)
	require.NoError(s.t, err)
	return s.server.Client().Do(r)
}

// requireCode sends a body, and requires a refusal.
func (s *site) requireCode(code int, body io.Reader) {
	s.t.Helper()
	answer, err := s.post(s.t.Context(), body)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	require.Equal(s.t, code, answer.StatusCode)
}

// halfBody returns a body of which a part comes, and no more until it is closed.
func halfBody(part string) io.ReadCloser {
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, part) }()
	return r
}

// The script leaves a child that holds neither output.
func TestWebhookPassesBodyAndOutputOn(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		ropes := newRope(t)
		s := open(ropes.on(`sleep 1000 >/dev/null 2>&1 & cat; echo "a warning" >&2`), wide)
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // exactly the limit
		answer, err := s.post(t.Context(), bytes.NewReader(body))
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.True(t, bytes.Equal(body, text))
		entry := <-s.log
		require.Equal(t, "exit status 0", entry.Result.Status)
		require.Equal(t, "a warning\n", entry.Stderr)
		ropes.requireFree()
	})
}

func TestWebhookRefusesABadRequest(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		rules := wide
		rules.limit = 10
		s := open(`exit 1`, rules)
		answer, err := s.server.Client().Get(s.server.URL)
		require.NoError(t, err)
		defer answer.Body.Close()
		require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode)
		require.Equal(t, http.MethodPost, answer.Header.Get("Allow"))
		s.requireCode(http.StatusRequestEntityTooLarge, strings.NewReader("eleven byte"))
		require.Empty(t, s.log)
	})
}

// The length of the body is not known before. The script would make a file at its end.
func TestWebhookEndsAScriptWhoseBodyIsTooLong(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		rules, file := wide, filepath.Join(t.TempDir(), "whole")
		rules.limit = 10
		s := open(`cat >/dev/null; : >`+file, rules)
		s.requireCode(http.StatusRequestEntityTooLarge, io.MultiReader(strings.NewReader("eleven byte")))
		require.NoFileExists(t, file)
		require.NotEqual(t, "exit status 0", (<-s.log).Result.Status) // one form may not have started it
	})
}

// The output has begun when the body becomes too long. The client does not end its body.
func TestWebhookBreaksAnAnswerOff(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		rules := wide
		rules.limit = 10
		s := open(`cat`, rules)
		body, w := io.Pipe()
		defer w.Close()
		go func() { _, _ = io.WriteString(w, "seven b") }()
		answer, err := s.post(t.Context(), body)
		require.NoError(t, err)
		defer answer.Body.Close()
		_, err = io.WriteString(w, "four")
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.True(t, strings.HasPrefix("seven bfou", string(text)))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, "signal: terminated", (<-s.log).Result.Status)
	})
}

// A Write that Exec has left behind may begin after the end.
func TestExchangeIsClosedAfterItsEnd(t *testing.T) {
	answer := httptest.NewRecorder()
	s := &exchange{w: answer, body: strings.NewReader("late"), control: http.NewResponseController(answer)}
	require.False(t, s.end())
	_, err := io.WriteString(s, "late")
	require.ErrorIs(t, err, os.ErrClosed)
	require.Empty(t, answer.Body.String())
	_, err = s.Read(make([]byte, 10))
	require.ErrorIs(t, err, os.ErrClosed)
}

func TestWebhookTellsAFailure(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		s := open(`cat; exit 3`, wide)
		s.requireCode(http.StatusInternalServerError, nil)
		require.Equal(t, "exit status 3", (<-s.log).Result.Status)

		answer, err := s.post(t.Context(), strings.NewReader("part"))
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.Equal(t, "part", string(text))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
}

// The client sends the second half of its body when it has read the first half of the output.
func TestWebhookStreams(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		s := open(`read line; echo "got $line"; read line; echo "got $line"`, wide)
		body, w := io.Pipe()
		go func() { _, _ = io.WriteString(w, "one\n") }()
		answer, err := s.post(t.Context(), body)
		require.NoError(t, err)
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		require.True(t, lines.Scan())
		require.Equal(t, "got one", lines.Text())
		_, err = io.WriteString(w, "two\n")
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.True(t, lines.Scan())
		require.Equal(t, "got two", lines.Text())
		require.False(t, lines.Scan())
		require.NoError(t, lines.Err())
	})
}

// One script runs. Of two more requests one waits, and the other one is refused.
func TestWebhookRefusesWhenItsQueueIsFull(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		rules, ropes := wide, newRope(t)
		rules.places, rules.waiting = 1, 1
		s := open(ropes.on(`echo "start" >&9; cat`), rules)
		hold, release := io.Pipe()
		codes := make(chan int, 3)
		send := func(body io.Reader) {
			answer, err := s.post(t.Context(), body)
			if err != nil {
				codes <- 0
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			codes <- answer.StatusCode
		}
		go send(hold)
		require.Equal(t, "start", ropes.line())
		go send(strings.NewReader("x"))
		go send(strings.NewReader("x"))
		require.Equal(t, http.StatusServiceUnavailable, <-codes)
		require.NoError(t, release.Close())
		require.Equal(t, http.StatusOK, <-codes)
		require.Equal(t, http.StatusOK, <-codes)
	})
}

// The body stalls, so the script waits for more input.
func TestWebhookEndsAScriptAtItsTimeout(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		rules, ropes := wide, newRope(t)
		rules.timeout = 200 * time.Millisecond
		s := open(ropes.on(`sleep 1000 & cat >/dev/null`), rules)
		body := halfBody("half")
		defer body.Close()
		s.requireCode(http.StatusGatewayTimeout, body)
		ropes.free()
		require.Contains(t, (<-s.log).failure(), context.DeadlineExceeded.Error())
	})
}

// The client stalls within its body, and waits until the server ends the connection.
func TestWebhookEndsAConnectionWhoseBodyStalls(t *testing.T) {
	for _, script := range []string{`echo "no need"`, `cat`, `cat >/dev/null`, `exit 3`} {
		rules := wide
		rules.timeout = 200 * time.Millisecond
		server := httptest.NewUnstartedServer(helperHook(slog.New(slog.DiscardHandler), script, rules))
		server.Config.ReadTimeout = time.Second
		server.Start()
		defer server.Close()
		client, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer client.Close()
		require.NoError(t, client.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = io.WriteString(client, "POST / HTTP/1.1\r\nHost: hook\r\nContent-Length: 100\r\n\r\nhalf")
		require.NoError(t, err)
		answer, err := io.ReadAll(client)
		require.NoError(t, err, script)
		// The client may send the rest later. It must not be taken for a request.
		require.Contains(t, string(answer), "\r\nConnection: close\r\n", script)
	}
}

// The script needs none of its input.
func TestWebhookDoesNotWaitForTheBody(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		s := open(`echo "no need"`, wide)
		body := halfBody("half")
		defer body.Close()
		answer, err := s.post(t.Context(), body)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, "no need\n", string(text))
	})
}

// The client goes away before the end of its body. The script would make a file there.
func TestWebhookEndsAScriptWhoseBodyBreaksOff(t *testing.T) {
	errGone := errors.New("gone")
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		file, ropes := filepath.Join(t.TempDir(), "whole"), newRope(t)
		s := open(ropes.on(`read line; echo "start" >&9; cat >/dev/null; : >`+file), wide)
		body, w := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			answer, err := s.post(t.Context(), body)
			if err == nil {
				_ = answer.Body.Close()
			}
			ended <- err
		}()
		_, err := io.WriteString(w, "a line\nhalf")
		require.NoError(t, err)
		require.Equal(t, "start", ropes.line())
		require.NoError(t, w.CloseWithError(errGone))
		require.ErrorIs(t, <-ended, errGone)
		ropes.free()
		require.NoFileExists(t, file)
		require.Equal(t, "signal: terminated", (<-s.log).Result.Status)
	})
}

// The script has all its input, and a child.
func TestWebhookEndsAScriptWhoseClientGoesAway(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		ropes := newRope(t)
		s := open(ropes.on(`cat; sleep 1000 & sleep 1000`), wide)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		answer, err := s.post(ctx, strings.NewReader("x"))
		require.NoError(t, err)
		defer answer.Body.Close()
		cancel()
		ropes.free()
		require.Equal(t, "signal: terminated", (<-s.log).Result.Status)
	})
}

// The client takes a part of an output without end, and no more.
func TestWebhookEndsAScriptWhoseClientTakesNoMore(t *testing.T) {
	eachHook(t, func(t *testing.T, open func(string, hookRules) *site) {
		rules, ropes := wide, newRope(t)
		rules.timeout = time.Second
		s := open(ropes.on(`sleep 1000 & yes`), rules)
		answer, err := s.post(t.Context(), nil)
		require.NoError(t, err)
		defer answer.Body.Close()
		ropes.free()
		require.Contains(t, (<-s.log).failure(), context.DeadlineExceeded.Error())
		<-s.over // though the client takes nothing
		_, err = io.Copy(io.Discard, answer.Body)
		require.Error(t, err)
	})
}
