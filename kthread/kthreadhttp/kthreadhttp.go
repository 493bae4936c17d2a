// Package kthreadhttp serves a page of the threads of package kthread: where each of them
// sleeps, how often it was woken, and a picture of the last moments.
//
//	recorder := &trace.FlightRecorder{Keep: 5 * time.Second}
//	err := recorder.Start()
//	...
//	trace.StartCounting()
//	page := &kthreadhttp.Handler{Recorder: recorder}
//	mux.Handle("/debug/kthreads/", http.StripPrefix("/debug/kthreads", page))
//
//	$ curl localhost:8080/debug/kthreads/
//	  PID S ELAPSED WAKE-UPS SPURIOUS WCHAN           COMMAND
//	    1 S   1h2m0s       12        3 mail            [flushd]
//
// # Which tool
//
//   - Use a Handler for people, and for Prometheus.
//   - Use package kthreadexpvar for programs that collect variables.
//   - Use kthread.Tasks inside the program.
//
// # Pages
//
// The URLs below the prefix are:
//
//   - "/" is plain text: the threads, the queues while they are counted, and the picture if
//     there is a recorder.
//   - "/?w" has only the threads in state D, as SysRq-w of the kernel.
//   - "/?picture=svg" is the picture as an image. "/?picture=text" is the picture as
//     the page has it.
//   - "/trace" is the trace of the last moments, in the text of ftrace. Perfetto, and the
//     command examples/ktrace, read it.
//   - "/metrics" has the counters of the queues, in the text format that Prometheus reads.
//
// The list has the state of [kthread.Thread.Info]. A thread may wait without its
// Current and its Task, for example on a Completion with context.Background. The list
// shows this wait only if package trace ran when the wait began. Otherwise it shows
// state R.
//
// The only methods are GET and HEAD, and no request changes anything. An error is plain text
// with its reason:
//
//   - 400 if picture has another value
//   - 404 if there is no such page
//   - 404 for a picture or a trace without a recorder, or without an event
//   - 404 for metrics while nothing counts
//   - 405 for another method. The header Allow has GET and HEAD.
//
// # Rights
//
// A Handler answers every caller. The names of threads and queues, and the times of
// wake-ups, tell how the program works and how busy it is. A picture of a full recorder can
// take a second, and many times its memory. So a Handler draws one picture at a time, and the
// page belongs behind a password, as package sysctlhttp describes it, or on a listener that
// only operators reach.
//
// It is a package of its own, so package kthread brings no HTTP server into a program.
// Importing it registers nothing.
package kthreadhttp

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
)

// A Handler serves the page. The zero value has no picture. It takes the path of the
// URL as it is, so put a Handler below a prefix into an [http.StripPrefix]. After the
// first request, do not change its field, and do not copy it. Several goroutines may
// call its method at once.
type Handler struct {
	// Recorder has the last moments. The program starts it. Nil means no picture.
	Recorder *trace.FlightRecorder

	drawing sync.Mutex // held over a picture
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A name may be any text, also a script. A browser must not take it for a page. No
	// other site may show the picture, and no cache may keep it.
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "kthreadhttp: "+r.Method+": only GET and HEAD are allowed", http.StatusMethodNotAllowed)
		return
	}
	a := h.answer(r)
	if a.err != nil {
		http.Error(w, "kthreadhttp: "+a.err.Error(), a.status)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	// The answer to HEAD has the length too. The server sends no body then.
	w.Header().Set("Content-Length", strconv.Itoa(a.text.Len()))
	_, _ = w.Write(a.text.Bytes()) // the client may have gone
}

// An answer is complete before its first byte is sent.
type answer struct {
	kind   string // the Content-Type
	text   bytes.Buffer
	status int // of err
	err    error
}

const plain = "text/plain; charset=utf-8"

// answer finds the page of a request.
func (h *Handler) answer(r *http.Request) *answer {
	a := &answer{kind: plain, status: http.StatusNotFound}
	query := r.URL.Query()
	switch r.URL.Path {
	case "", "/":
		switch {
		case query.Has("picture"):
			a.picture(r.Context(), h, query.Get("picture"))
		case query.Has("w"):
			a.threads(kthread.Tasks().Blocked())
		default:
			a.page(r.Context(), h)
		}
	case "/trace":
		a.trace(h.Recorder)
	case "/metrics":
		a.metrics()
	default:
		a.err = errors.New("no such page")
	}
	return a
}

// metrics answers with the counters.
func (a *answer) metrics() {
	_ = trace.WriteMetrics(&a.text) // a Buffer has no error
	if a.text.Len() == 0 {
		a.err = errors.New("nothing is counted: call trace.StartCounting")
	}
	a.kind = "text/plain; version=0.0.4; charset=utf-8"
}
