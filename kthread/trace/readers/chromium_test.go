//go:build unix

package readers_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A model is a trace in the form of Chromium's trace viewer.
type model struct {
	Warnings []string
	Threads  []viewerThread
	Counters []viewerCounter
}

type viewerThread struct {
	Name   string
	Pid    int
	States []viewerState // one after the other
	Slices []string      // their titles
}

type viewerState struct {
	State           string  // "Running", "Runnable", "Sleeping", "Uninterruptible Sleep"
	Start, Duration float64 // in milliseconds
	Queue           string  // of a sleep
	Waker           int     // of Runnable, the pid
}

type viewerCounter struct {
	Name   string
	Values []float64
}

//go:embed testdata/page.html
var page []byte

// view imports traces into the viewer that Go brings along, in a browser without a window.
func view(t testing.TB, texts ...string) []model {
	chromium := program(t, "chromium", "REQUIRE_CHROMIUM")
	answers := make(chan answer, 1)
	startBrowser(t, chromium, serve(t, texts, answers))
	select {
	case a := <-answers:
		require.Empty(t, a.Error)
		require.Len(t, a.Models, len(texts))
		return a.Models
	case <-time.After(2 * time.Minute):
		t.Fatal("the page has sent nothing within two minutes")
		return nil
	}
}

// An answer comes from the page.
type answer struct {
	Error  string
	Models []model
}

// serve serves the page, its viewer and the traces, and passes on the answers.
func serve(t testing.TB, texts []string, answers chan<- answer) (url string) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	static := filepath.Join(strings.TrimSpace(string(goroot)), "src/internal/trace/traceviewer/static")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	mux.HandleFunc("GET /traces", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(texts) })
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServer(http.Dir(static))))
	mux.HandleFunc("POST /models", func(_ http.ResponseWriter, r *http.Request) {
		var a answer
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			a.Error = err.Error()
		}
		select {
		case answers <- a:
		default: // the first one counts
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// startBrowser opens url until the test ends. Then the browser's files are deleted.
func startBrowser(t testing.TB, chromium, url string) {
	dir := t.TempDir()
	cmd := exec.Command(chromium,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--remote-debugging-port=0", "--user-data-dir="+dir, url)
	cmd.Env = append(cmd.Environ(), "TMPDIR="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	t.Cleanup(func() { // after the end of the browser
		if t.Failed() {
			t.Logf("the browser printed:\n%s", &out)
		}
	})
	startGroup(t, cmd)
}
