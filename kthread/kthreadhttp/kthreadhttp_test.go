package kthreadhttp_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/kthreadhttp"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// request returns the answer below the prefix /debug/kthreads, as a program has it.
func request(h *kthreadhttp.Handler, method, path string) *httptest.ResponseRecorder {
	var mux http.ServeMux
	mux.Handle("/debug/kthreads/", http.StripPrefix("/debug/kthreads", h))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, "/debug/kthreads"+path, nil))
	return w
}

func get(h *kthreadhttp.Handler, path string) *httptest.ResponseRecorder {
	return request(h, http.MethodGet, path)
}

// A program has a thread in state S, and one in state D.
type program struct {
	disk, mail     waitqueue.Queue
	answered       bool
	flushd, mailer *kthread.Thread
}

// watched runs a test beside a program, in a bubble. The program is a minute old.
func watched(t *testing.T, test func(t *testing.T, p *program)) {
	synctest.Test(t, func(t *testing.T) {
		p := &program{disk: waitqueue.Queue{Name: "sda1"}, mail: waitqueue.Queue{Name: "mail"}}
		p.flushd = kthread.Run("flushd", func(cur *kthread.Current) error {
			wait := waitqueue.Entry{Task: cur.Task()}
			for {
				p.disk.Prepare(&wait, waitqueue.Uninterruptible)
				if p.answered {
					p.disk.Finish(&wait)
					return nil
				}
				cur.Task().Schedule()
			}
		})
		synctest.Wait()
		p.mailer = kthread.Run("mailer", func(cur *kthread.Current) error { return cur.Wait(&p.mail, cur.ShouldStop) })
		time.Sleep(time.Minute)
		test(t, p)
		p.answered = true
		p.disk.WakeUp()
		require.NoError(t, p.flushd.Stop())
		require.NoError(t, p.mailer.Stop())
	})
}

// pids puts the pids of the threads, five columns wide, into a text.
func (p *program) pids(text string) string {
	pid := func(t *kthread.Thread) string { return fmt.Sprintf("%5d", t.Info().Pid) }
	return strings.NewReplacer("FLUSH", pid(p.flushd), "MAILR", pid(p.mailer)).Replace(text)
}

func TestThreads(t *testing.T) {
	watched(t, func(t *testing.T, p *program) {
		const head = "  PID S ELAPSED WAKE-UPS SPURIOUS WCHAN           COMMAND\n"
		const stuck = "FLUSH D    1m0s        1        - sda1            [flushd]\n"
		w := get(&kthreadhttp.Handler{}, "/")
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, p.pids(head+stuck+"MAILR S    1m0s        1        - mail            [mailer]\n"), w.Body.String())
		require.Equal(t, p.pids(head+stuck), get(&kthreadhttp.Handler{}, "/?w").Body.String())
	})
}

func TestCounters(t *testing.T) {
	watched(t, func(t *testing.T, p *program) {
		h := &kthreadhttp.Handler{}
		w := get(h, "/metrics")
		require.Equal(t, http.StatusNotFound, w.Code)
		require.Equal(t, "kthreadhttp: nothing is counted: call trace.StartCounting\n", w.Body.String())

		trace.StartCounting()
		defer trace.StopCounting()
		p.mail.WakeUp() // the condition is false yet
		synctest.Wait()
		p.mail.WakeUp()
		time.Sleep(time.Second)
		require.Contains(t, get(h, "/").Body.String(), p.pids("MAILR S    1m1s        3        2 mail            [mailer]\n"))
		require.Contains(t, get(h, "/").Body.String(), "\n\nWAITERS WAKE-UPS SPURIOUS    LONGEST QUEUE\n      1        2        2         1s mail\n")
		require.NotContains(t, get(h, "/?w").Body.String(), "QUEUE")

		w = get(h, "/metrics")
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), "# TYPE kprim_queue_wakeups_total counter\nkprim_queue_wakeups_total{queue=\"mail\"} 2\n")
	})
}

func TestPicture(t *testing.T) {
	watched(t, func(t *testing.T, p *program) {
		h := &kthreadhttp.Handler{Recorder: new(trace.FlightRecorder)}
		require.NoError(t, h.Recorder.Start())
		defer h.Recorder.Stop()
		p.mail.WakeUp()
		time.Sleep(time.Second)

		page := get(h, "/").Body.String()
		table, drawing, found := strings.Cut(page, "\n\n")
		require.True(t, found)
		require.Contains(t, table, "[mailer]")
		require.Regexp(t, `(?m)^mailer +\|.*!.*\|$`, drawing)
		require.Equal(t, drawing, get(h, "/?picture=text").Body.String())

		svg := get(h, "/?picture=svg")
		require.Equal(t, http.StatusOK, svg.Code)
		require.Equal(t, "image/svg+xml", svg.Header().Get("Content-Type"))
		require.Equal(t, "svg", root(t, svg.Body.String()))

		text := get(h, "/trace")
		require.Equal(t, http.StatusOK, text.Code)
		require.Equal(t, "text/plain; charset=utf-8", text.Header().Get("Content-Type"))
		require.True(t, strings.HasPrefix(text.Body.String(), "# tracer: nop\n"))
		require.Contains(t, text.Body.String(), "sched_waking: comm=mailer ")
	})
}

// While it counts, the page has the table of the queues, also if that is empty.
func TestQueuesThatThereAreNot(t *testing.T) {
	trace.StartCounting()
	defer trace.StopCounting()
	page := get(&kthreadhttp.Handler{}, "/").Body.String()
	require.True(t, strings.HasSuffix(page, "COMMAND\n\nWAITERS WAKE-UPS SPURIOUS    LONGEST QUEUE\n"), page)
}

// The page is found with a slash at its end and without.
func TestPlacesOfTheHandler(t *testing.T) {
	h := &kthreadhttp.Handler{}
	var mux http.ServeMux
	mux.Handle("GET /debug/kthreads", http.StripPrefix("/debug/kthreads", h))
	mux.Handle("GET /debug/kthreads/", http.StripPrefix("/debug/kthreads", h))
	for path, handler := range map[string]http.Handler{
		"/debug/kthreads": &mux, "/debug/kthreads/": &mux, "/debug/kthreads?w": &mux, "/debug/kthreads/?w": &mux, "/": h,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Contains(t, w.Body.String(), "COMMAND\n", path)
	}
}

// While one picture is drawn, another one waits, and a list does not.
func TestOnePictureAtATime(t *testing.T) {
	h := &kthreadhttp.Handler{Recorder: new(trace.FlightRecorder)}
	require.NoError(t, h.Recorder.Start())
	defer h.Recorder.Stop()
	trace.Instant("drawn")
	done := h.Draw()
	pictures := make(chan string, 2)
	go func() { pictures <- get(h, "/?picture=svg").Body.String() }()
	go func() { pictures <- get(h, "/").Body.String() }()
	for range 100 {
		require.Equal(t, http.StatusOK, get(h, "/?w").Code)
		require.Equal(t, http.StatusOK, get(h, "/trace").Code)
	}
	require.Empty(t, pictures)
	done()
	require.Contains(t, <-pictures, "drawn")
	require.Contains(t, <-pictures, "drawn")
}

// Nothing is drawn for a client that has gone meanwhile.
func TestNoPictureWithoutAClient(t *testing.T) {
	h := &kthreadhttp.Handler{Recorder: new(trace.FlightRecorder)}
	require.NoError(t, h.Recorder.Start())
	defer h.Recorder.Stop()
	trace.Instant("drawn")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/?picture=svg", nil))
	require.Equal(t, "kthreadhttp: context canceled\n", w.Body.String())
}

// A thread that waits without its Current is D in the list, as in the picture, while a recorder
// runs.
func TestWaitWithoutCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &kthreadhttp.Handler{Recorder: new(trace.FlightRecorder)}
		require.NoError(t, h.Recorder.Start())
		defer h.Recorder.Stop()
		var done waitqueue.Completion
		thread := kthread.Run("flushd", func(*kthread.Current) error { return done.Wait(context.Background()) })
		time.Sleep(time.Second)
		page := get(h, "/").Body.String()
		require.Regexp(t, `(?m) D +1s .*\[flushd\]$`, page)
		require.Regexp(t, `(?m)^flushd +\|.*##\|$`, page)
		require.Contains(t, get(h, "/?w").Body.String(), "flushd")
		h.Recorder.Stop()
		require.Regexp(t, `(?m) R +1s .*\[flushd\]$`, get(h, "/").Body.String())
		done.Complete()
		require.NoError(t, thread.Wait(t.Context()))
	})
}

// root returns the name of the outermost element of a whole document.
func root(t *testing.T, text string) (name string) {
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return name
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && name == "" {
			name = e.Name.Local
		}
	}
}

// A recorder without events is no error of the page.
func TestPictureWithoutEvents(t *testing.T) {
	h := &kthreadhttp.Handler{Recorder: new(trace.FlightRecorder)}
	w := get(h, "/")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "COMMAND\n\nno event is recorded\n")
	for _, path := range []string{"/?picture=svg", "/?picture=text", "/trace"} {
		w := get(h, path)
		require.Equal(t, http.StatusNotFound, w.Code)
		require.Equal(t, "kthreadhttp: no event is recorded\n", w.Body.String())
	}
}

// The recorder runs, and there is nothing to record.
func TestPictureOfAProgramThatSleeps(t *testing.T) {
	h := &kthreadhttp.Handler{Recorder: new(trace.FlightRecorder)}
	require.NoError(t, h.Recorder.Start())
	defer h.Recorder.Stop()
	require.Equal(t, http.StatusNotFound, get(h, "/trace").Code)
	require.Equal(t, http.StatusNotFound, get(h, "/?picture=text").Code)
}

// A server answers HEAD with the header of GET, and without a body.
func TestHeadHasTheLength(t *testing.T) {
	h := &kthreadhttp.Handler{Recorder: new(trace.FlightRecorder)}
	require.NoError(t, h.Recorder.Start())
	defer h.Recorder.Stop()
	for range 100 {
		trace.Instant("as much as no buffer of a server takes")
	}
	h.Recorder.Stop() // two answers are the same
	server := httptest.NewServer(h)
	defer server.Close()
	client := server.Client()
	for _, path := range []string{"/?w", "/trace", "/?picture=svg", "/none"} {
		got, err := client.Get(server.URL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		require.NoError(t, got.Body.Close())
		head, err := client.Head(server.URL + path)
		require.NoError(t, err)
		none, err := io.ReadAll(head.Body)
		require.NoError(t, err)
		require.NoError(t, head.Body.Close())
		require.Empty(t, none)
		require.Equal(t, got.StatusCode, head.StatusCode)
		require.EqualValues(t, len(body), got.ContentLength)
		require.EqualValues(t, len(body), head.ContentLength)
	}
}

func TestWhatThereIsNot(t *testing.T) {
	recorder := new(trace.FlightRecorder)
	for _, c := range []struct {
		recorder *trace.FlightRecorder
		path     string
		status   int
		text     string
	}{
		{nil, "/?picture=svg", http.StatusNotFound, "kthreadhttp: there is no flight recorder\n"},
		{nil, "/?picture=text", http.StatusNotFound, "kthreadhttp: there is no flight recorder\n"},
		{nil, "/trace", http.StatusNotFound, "kthreadhttp: there is no flight recorder\n"},
		{recorder, "/?picture=png", http.StatusBadRequest, "kthreadhttp: no such picture: \"png\": it must be svg or text\n"},
		{recorder, "/?picture", http.StatusBadRequest, "kthreadhttp: no such picture: \"\": it must be svg or text\n"},
		{recorder, "/threads", http.StatusNotFound, "kthreadhttp: no such page\n"},
	} {
		w := get(&kthreadhttp.Handler{Recorder: c.recorder}, c.path)
		require.Equal(t, c.status, w.Code, c.path)
		require.Equal(t, c.text, w.Body.String())
		require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	}
}

func TestOnlyGetAndHead(t *testing.T) {
	h := &kthreadhttp.Handler{}
	require.Equal(t, http.StatusOK, request(h, http.MethodHead, "/").Code)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FETCH"} {
		for _, path := range []string{"/", "/metrics", "/none"} {
			w := request(h, method, path)
			require.Equal(t, http.StatusMethodNotAllowed, w.Code)
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
	}
}

// A browser runs nothing that a name says, and keeps nothing.
func TestEachAnswerHasItsHeaders(t *testing.T) {
	for _, path := range []string{"/", "/?picture=svg", "/metrics", "/none"} {
		for _, method := range []string{"GET", "POST"} {
			header := request(&kthreadhttp.Handler{}, method, path).Header()
			require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
			require.Equal(t, "no-store", header.Get("Cache-Control"))
			require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
			require.Equal(t, "default-src 'none'; style-src 'unsafe-inline'; sandbox", header.Get("Content-Security-Policy"))
		}
	}
}

// A name stays in its cell.
func TestNamesAreQuoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace.StartCounting()
		defer trace.StopCounting()
		q := waitqueue.Queue{Name: "a\n\x1b[31mb <é>"}
		thread := kthread.Run("stray \xff", func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
		synctest.Wait()
		page := get(&kthreadhttp.Handler{}, "/").Body.String()
		require.Contains(t, page, "SPURIOUS WCHAN              COMMAND\n")
		require.Contains(t, page, `       0 "a\n\x1b[31mb <é>" ["stray \xff"]`+"\n")
		require.Contains(t, page, ` "a\n\x1b[31mb <é>"`+"\n")
		require.NoError(t, thread.Stop())
	})
}

// A long cell widens its column. An age of 1,000 hours has nine characters, and the sleep has
// more.
func TestColumns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace.StartCounting()
		defer trace.StopCounting()
		q := waitqueue.Queue{Name: "mail"}
		old := kthread.Run("old", func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
		time.Sleep(1000*time.Hour + time.Microsecond)
		q.WakeUp()
		young := kthread.Run("young", func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
		synctest.Wait()
		page := get(&kthreadhttp.Handler{}, "/").Body.String()
		require.Contains(t, page, "  PID S   ELAPSED WAKE-UPS SPURIOUS WCHAN           COMMAND\n")
		require.Regexp(t, `(?m)^ *\d+ S 1000h0m0s        2        1 mail            \[old\]$`, page)
		require.Regexp(t, `(?m)^ *\d+ S        0s        1        0 mail            \[young\]$`, page)
		require.Contains(t, page, "\nWAITERS WAKE-UPS SPURIOUS          LONGEST QUEUE\n      2        1        1 1000h0m0.000001s mail\n")
		require.NoError(t, old.Stop())
		require.NoError(t, young.Stop())
	})
}

// One long name does not widen all lines.
func TestLongNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: strings.Repeat("n", 100_000)}
		long := kthread.Run(q.Name, func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
		short := kthread.Run("short", func(cur *kthread.Current) error { return cur.Wait(new(waitqueue.Queue), cur.ShouldStop) })
		time.Sleep(time.Second)
		page := get(&kthreadhttp.Handler{}, "/").Body.String()
		require.Contains(t, page, "WCHAN"+strings.Repeat(" ", 36)+"COMMAND\n")
		require.Contains(t, page, " "+q.Name+" [nnnnnnnnnnnnnnn]\n")
		require.Contains(t, page, " -"+strings.Repeat(" ", 40)+"[short]\n")
		require.NoError(t, long.Stop())
		require.NoError(t, short.Stop())
	})
}
