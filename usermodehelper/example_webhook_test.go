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
//   - A client that takes no more output does not hold up the end of the script.
//   - A client that stalls within its body loses its place at the time limit of the script.
//
// A server with such a handler needs a ReadTimeout. It ends the connection of a client that stalls
// within its body.
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
	_ = control.EnableFullDuplex()        // the output may come before the end of the body
	w.Header().Set("Connection", "close") // the rest of a body must not be the next request
	// Not w, but nil: a Write uses w at the same time.
	e := &exchange{w: w, body: http.MaxBytesReader(nil, r.Body, h.limit), control: control}
	stderr := &usermodehelper.Output{Max: -1, Tail: 36}
	helper := usermodehelper.Helper{
		Path:      "/bin/sh",
		Argv:      []string{"sh", "-c", h.script},
		Envp:      usermodehelper.Environ(),
		Gate:      &h.gate,
		InputFrom: e,
		Output:    &usermodehelper.Output{Max: -1, Writer: e},
		Errors:    stderr,
		Timeout:   h.timeout,
		Sweep:     true,
		Cleanup: func(result usermodehelper.Result) {
			h.log.Info("script", "result", result, "stderr", stderr.String())
		},
	}
	status, err := helper.Exec(r.Context(), usermodehelper.WaitProc)
	begun := e.end()
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

// An exchange passes the body of a request on to a script, and the output of the script on to the
// client as it comes.
type exchange struct {
	w                http.ResponseWriter
	body             io.Reader
	control          *http.ResponseController
	reading, writing sync.Mutex // held during a Read, and during a Write
	begun, ended     bool
}

func (e *exchange) Read(p []byte) (int, error) {
	e.reading.Lock()
	defer e.reading.Unlock()
	if e.ended {
		return 0, os.ErrClosed
	}
	return e.body.Read(p)
}

func (e *exchange) Write(p []byte) (int, error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	if e.ended {
		return 0, os.ErrClosed
	}
	e.begun = true
	n, err := e.w.Write(p)
	return n, cmp.Or(err, e.control.Flush())
}

// end reports whether the answer has begun. It ends a Read and a Write that Exec has left behind.
// No Write may go on when the handler has returned. During a Read the server would forget its
// ReadTimeout, and wait for the rest of the body without a limit.
func (e *exchange) end() (begun bool) {
	if !e.reading.TryLock() {
		_ = e.control.SetReadDeadline(time.Now())
		e.reading.Lock()
	}
	defer e.reading.Unlock()
	if !e.writing.TryLock() {
		_ = e.control.SetWriteDeadline(time.Now())
		e.writing.Lock()
	}
	defer e.writing.Unlock()
	e.ended = true
	return e.begun
}
