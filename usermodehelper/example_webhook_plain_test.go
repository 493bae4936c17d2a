//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The webhook of the Example webhook, with os/exec. It prints the same lines.
//
// Some guarantees are weaker. If a script ends while its client takes no output, its place is
// taken until the time limit of the script. A client that stalls within its body holds its
// connection without a limit. The rest is at plainRun.
func Example_plainWebhook() {
	hook := newPlainWebhook(slog.New(slog.NewTextHandler(os.Stdout, steadyText)), `
		echo "got it"
		tr a-z A-Z
		echo "all done" >&2`)
	server := httptest.NewUnstartedServer(hook)
	server.Config.ReadTimeout = time.Minute
	server.Start()
	answer, err := http.Post(server.URL, "text/plain", strings.NewReader("disk full\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(answer.Body)
	fmt.Printf("%v, %q, %v\n", answer.Status, text, err)
	server.Close() // waits for the handlers
	// Output:
	// msg=script result.status="exit status 0" stderr="all done\n"
	// 200 OK, "got it\nDISK FULL\n", <nil>
}

// A plainWebhook runs a script for each request.
type plainWebhook struct {
	script  string
	log     *slog.Logger
	timeout time.Duration // of a script
	limit   int64         // of a body
	present chan struct{} // full if no more requests may wait
	places  chan struct{} // full if no more scripts may run
}

func newPlainWebhook(log *slog.Logger, script string) *plainWebhook {
	return &plainWebhook{
		script: script, log: log, timeout: time.Minute, limit: 1 << 20,
		present: make(chan struct{}, 6), places: make(chan struct{}, 2),
	}
}

func (h *plainWebhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		plainRefuse(w, http.StatusMethodNotAllowed)
	case r.ContentLength > h.limit:
		plainRefuse(w, http.StatusRequestEntityTooLarge)
	default:
		h.await(w, r)
	}
}

func plainRefuse(w http.ResponseWriter, code int) { http.Error(w, http.StatusText(code), code) }

// await runs the script as soon as there is a place.
func (h *plainWebhook) await(w http.ResponseWriter, r *http.Request) {
	select {
	case h.present <- struct{}{}:
		defer func() { <-h.present }()
	default:
		h.log.Info("script", "result", plainResult(nil, syscall.ENOBUFS), "stderr", "")
		plainRefuse(w, http.StatusServiceUnavailable)
		return
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
		h.run(w, r)
	case <-r.Context().Done():
		h.log.Info("script", "result", plainResult(nil, context.Cause(r.Context())), "stderr", "")
	}
}

func (h *plainWebhook) run(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // the output may come before the end of the body
	out := &plainFlusher{w: w, control: control, ctx: ctx, fail: fail}
	defer context.AfterFunc(ctx, out.release)()
	stderr := &plainTail{size: 36}
	cmd := plainCommand(ctx, h.script)
	cmd.Stdout, cmd.Stderr = out, stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		go plainFeed(stdin, http.MaxBytesReader(nil, r.Body, h.limit), fail)
		err = plainRun(ctx, cmd)
	}
	h.log.Info("script", "result", plainResult(cmd.ProcessState, err), "stderr", stderr.String())
	switch tooLong := new(http.MaxBytesError); {
	case err == nil:
	case out.begun.Load():
		_ = control.SetReadDeadline(time.Now()) // or the server would wait for the rest of the body
		panic(http.ErrAbortHandler)
	case errors.As(err, &tooLong):
		plainRefuse(w, http.StatusRequestEntityTooLarge)
	case errors.Is(err, context.DeadlineExceeded):
		plainRefuse(w, http.StatusGatewayTimeout)
	default:
		plainRefuse(w, http.StatusInternalServerError)
	}
}

// plainFeed writes the input of a script. If the body fails, the pipe stays open until the
// script has ended: the script must not take a part for the whole.
func plainFeed(stdin io.WriteCloser, body io.Reader, fail context.CancelCauseFunc) {
	_, err := io.Copy(stdin, body)
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		fail(err)
		return
	}
	_ = stdin.Close()
}

// A plainFlusher passes the output of a script on to the client as it comes.
type plainFlusher struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context
	fail    context.CancelCauseFunc
	begun   atomic.Bool
}

func (f *plainFlusher) Write(p []byte) (int, error) {
	f.begun.Store(true) // before the look at ctx: release may come right after it
	if f.ctx.Err() != nil {
		return 0, f.ctx.Err()
	}
	n, err := f.w.Write(p)
	if err = cmp.Or(err, f.control.Flush()); err != nil {
		f.fail(err)
	}
	return n, err
}

// release ends a Write when ctx has ended, because Wait would wait for it.
func (f *plainFlusher) release() {
	if f.begun.Load() {
		_ = f.control.SetWriteDeadline(time.Now())
	}
}
