//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/usermodehelper"
)

// A webhook hands the body of a request to a script, and streams the script's output back. The
// Example plainWebhook is the same with os/exec. Both give these guarantees:
//
//   - Only POST is allowed, and a body has a limit.
//   - At most two scripts run, and four more requests wait. The next one gets 503.
//   - A script that takes too long is ended. The client gets 504. No script leaves a process behind.
//   - A script never takes a part of a body for the whole: if the body breaks off or is too long, the
//     script is ended before it sees the end of its input.
//   - A client never takes a part of an output for the whole: the connection breaks off.
//   - If the client goes away, the script and all its processes are ended.
//   - A client that takes no more output holds up nothing at the end.
//
// A server with such a handler needs a ReadTimeout. A client that stalls within its body holds its
// connection until then, but neither a place nor a script.
func Example_webhook() {
	hook := newWebhook(slog.New(slog.NewTextHandler(os.Stdout, steadyText)), `
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

// A webhook runs a script for each request.
type webhook struct {
	script  string
	log     *slog.Logger
	timeout time.Duration // of a script
	limit   int64         // of a body
	gate    usermodehelper.Gate
}

func newWebhook(log *slog.Logger, script string) *webhook {
	h := &webhook{script: script, log: log, timeout: time.Minute, limit: 1 << 20}
	h.gate.Max, h.gate.Queue = 2, 4
	return h
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed)
	case r.ContentLength > h.limit:
		refuse(w, http.StatusRequestEntityTooLarge)
	default:
		h.run(w, r)
	}
}

func refuse(w http.ResponseWriter, code int) { http.Error(w, http.StatusText(code), code) }

func (h *webhook) run(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // the output may come before the end of the body
	out := &flusher{w: w, control: control}
	stderr := &usermodehelper.Output{Max: -1, Tail: 36}
	helper := usermodehelper.Helper{
		Path:      "/bin/sh",
		Argv:      []string{"sh", "-c", h.script},
		Envp:      usermodehelper.Environ(),
		Gate:      &h.gate,
		InputFrom: http.MaxBytesReader(nil, r.Body, h.limit), // w must not be used at once with out
		Output:    &usermodehelper.Output{Max: -1, Writer: out},
		Errors:    stderr,
		Timeout:   h.timeout,
		Grace:     100 * time.Millisecond,
		Sweep:     true,
		Cleanup: func(result usermodehelper.Result) {
			h.log.Info("script", "result", result, "stderr", stderr.String())
		},
	}
	status, err := helper.Exec(r.Context(), usermodehelper.WaitProc)
	begun := out.end()
	switch tooLong := new(http.MaxBytesError); {
	case err == nil && status == 0 && !helper.Output.Broken():
	case begun:
		_ = control.SetReadDeadline(time.Now()) // or the server would wait for the rest of the body
		panic(http.ErrAbortHandler)
	case errors.Is(err, syscall.ENOBUFS):
		refuse(w, http.StatusServiceUnavailable)
	case errors.As(err, &tooLong):
		refuse(w, http.StatusRequestEntityTooLarge)
	case errors.Is(err, syscall.ETIMEDOUT):
		refuse(w, http.StatusGatewayTimeout)
	default:
		refuse(w, http.StatusInternalServerError)
	}
}

// A flusher passes the output of a script on to the client as it comes.
type flusher struct {
	w            http.ResponseWriter
	control      *http.ResponseController
	mu           sync.Mutex
	begun, ended bool
}

func (f *flusher) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return 0, os.ErrClosed
	}
	f.begun = true
	n, err := f.w.Write(p)
	return n, cmp.Or(err, f.control.Flush())
}

// end reports whether the answer has begun. It ends a Write that Exec has left behind, because
// no Write may go on when the handler has returned.
func (f *flusher) end() (begun bool) {
	if !f.mu.TryLock() {
		_ = f.control.SetWriteDeadline(time.Now())
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	f.ended = true
	return f.begun
}
