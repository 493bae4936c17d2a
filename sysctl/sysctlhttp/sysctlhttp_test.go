package sysctlhttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/sysctlhttp"
)

// A broken handler fails with its error.
type broken struct{ error }

func (b broken) Read(*sysctl.Request, []byte) (int, error)  { return 0, b.error }
func (b broken) Write(*sysctl.Request, []byte) (int, error) { return 0, b.error }

// A daemon has a tree, and remembers the changes of its rate.
type daemon struct {
	tree    sysctl.Tree
	rate    *sysctl.Var[int]
	name    sysctl.Var[string]
	changes []sysctl.Change[int]
}

func newDaemon(t *testing.T) (*daemon, *sysctlhttp.Handler) {
	d := &daemon{rate: sysctl.NewVar(100, sysctl.Between(1, 1000))}
	d.rate.Changed = func(c sysctl.Change[int]) { d.changes = append(d.changes, c) }
	busy := func(_, _ string) error { return fmt.Errorf("a backup runs: %w", syscall.EBUSY) }
	_, err := d.tree.Register("http",
		sysctl.Entry{Name: "rate", Mode: 0o644, Handler: d.rate, Doc: "requests a second"},
		sysctl.Entry{Name: "name", Mode: 0o644, Handler: &d.name},
		sysctl.Entry{Name: "secret", Mode: 0o600, Handler: sysctl.NewVar("hunter2")},
		sysctl.Entry{Name: "flush", Mode: 0o200, Handler: sysctl.NewVar("")},
		sysctl.Entry{Name: "uptime", Mode: 0o444, Handler: sysctl.Func(func() string { return "5s" })},
		sysctl.Entry{Name: "claims", Mode: 0o644, Handler: struct{ sysctl.Handler }{sysctl.Func(func() string { return "5s" })}},
	)
	require.NoError(t, err)
	_, err = d.tree.Register("http2", sysctl.Entry{Name: "box", Mode: 0o602, Handler: sysctl.NewVar("")})
	require.NoError(t, err)
	_, err = d.tree.Register("faults",
		sysctl.Entry{Name: "busy", Mode: 0o644, Handler: &sysctl.Var[string]{Parse: func(s string) (string, error) { return s, busy("", s) }}},
		sysctl.Entry{Name: "eio", Mode: 0o644, Handler: broken{syscall.EIO}},
		sysctl.Entry{Name: "enoent", Mode: 0o644, Handler: broken{fmt.Errorf("no such certificate: %w", syscall.ENOENT)}},
		sysctl.Entry{Name: "plain", Mode: 0o644, Handler: broken{errors.New("no")}},
	)
	require.NoError(t, err)
	return d, &sysctlhttp.Handler{Tree: &d.tree, Caller: caller}
}

// caller knows root, group and mallory by a header, as a server behind a proxy does.
func caller(r *http.Request) (string, sysctl.Cred, error) {
	switch name := r.Header.Get("X-User"); name {
	case "root":
		return name, sysctl.Root, nil
	case "mallory":
		return "", sysctl.Root, errors.New("mallory is banned")
	}
	return "", sysctl.Nobody, nil
}

// do sends a request. The line has the method, the path and headers: PUT /x X-User=root.
func do(h http.Handler, line, body string) *http.Response {
	words := strings.Fields(line)
	r := httptest.NewRequest(words[0], words[1], strings.NewReader(body))
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(body)
}

func TestStatusOfEachRequest(t *testing.T) {
	const root, json = " X-User=root", " Accept=application/json"
	for line, want := range map[string]string{
		"GET /http/rate":                                    "200 100\n",
		"GET /http/rate/":                                   "404 stat http/rate/: file does not exist\n",
		"GET /http/rate?x=1":                                "200 100\n",
		"GET /http/rate Accept=text/*":                      "200 100\n",
		"GET /http/secret":                                  "403 open http/secret:",
		"GET /http/secret" + json:                           "403 open http/secret:",
		"GET /http/secret" + root:                           "200 hunter2\n",
		"GET /http/secret X-User=group":                     "403 ",
		"GET /http/rate X-User=mallory":                     "403 mallory is banned\n",
		"GET /none X-User=mallory":                          "403 mallory is banned\n",
		"PUT /http/rate X-User=mallory":                     "403 mallory is banned\n",
		"GET /http/none":                                    "404 stat http/none:",
		"GET /http/rate/none":                               "404 ",
		"GET /http/flush" + root:                            "405 Allow: PUT",
		"GET /http/flush" + root + json:                     "405 Allow: PUT",
		"HEAD /http/rate":                                   "200 ",
		"HEAD /none":                                        "404 ",
		"GET /faults/eio":                                   "500 read faults/eio:",
		"GET /faults/eio" + json:                            "500 read faults/eio:",
		"GET /faults/enoent":                                "500 read faults/enoent: no such certificate",
		"PUT /http/rate":                                    "403 open http/rate:",
		"PUT /http/rate X-User=group":                       "403 ",
		"PUT /http/rate" + root:                             "204 ",
		"PUT /http/secret" + root:                           "204 ",
		"PUT /http/flush" + root:                            "204 ",
		"PUT /http/uptime" + root:                           "405 Allow: GET, HEAD",
		"PUT /http/claims" + root:                           "403 write http/claims: it can only be read",
		"PUT /http" + root:                                  "405 Allow: GET, HEAD",
		"PUT /" + root:                                      "405 Allow: GET, HEAD",
		"PUT /http/none" + root:                             "404 ",
		"PUT /faults/busy" + root:                           "409 write faults/busy: a backup runs",
		"PUT /faults/eio" + root:                            "500 ",
		"PUT /faults/enoent" + root:                         "400 write faults/enoent: no such certificate",
		"PUT /faults/plain" + root:                          "400 write faults/plain: no\n",
		"POST /http/rate" + root:                            "405 Allow: GET, HEAD, PUT",
		"DELETE /http/rate" + root:                          "405 Allow: GET, HEAD, PUT",
		"PATCH /http/rate" + root:                           "405 Allow: GET, HEAD, PUT",
		"OPTIONS /http/rate" + root:                         "405 Allow: GET, HEAD, PUT",
		"OPTIONS /" + root:                                  "405 Allow: GET, HEAD",
		"put /http/rate" + root:                             "405 Allow: GET, HEAD, PUT",
		"POST /none" + root:                                 "404 ",
		"GET /../http/rate":                                 "404 ",
		"GET /http/../http/rate":                            "404 ",
		"GET /http/%2e%2e/http/rate":                        "404 ",
		"GET /./http/rate":                                  "404 ",
		"GET /http//rate":                                   "404 ",
		"GET /http%2Frate":                                  "200 100\n", // a name has no slash, so this can be nothing else
		"GET /http/rate%00":                                 "404 ",
		"GET /http/%ff":                                     "404 ",
		"GET /http/<script>":                                "404 stat http/<script>",
		"GET /..%5C..%5Cetc%5Cpasswd":                       "404 ",
		"PUT /http/../http/rate" + root:                     "404 ",
		"PUT /http/rate Content-Encoding=gzip" + root:       "415 ",
		"PUT /http/rate Content-Range=bytes_0-1/2" + root:   "400 ",
		"POST /http/rate X-HTTP-Method-Override=PUT" + root: "405 ",
		"POST /http/rate?_method=PUT" + root:                "405 ",
		"GET /http/rate X-HTTP-Method-Override=PUT" + root:  "200 100\n",
		"PUT /http/rate Sec-Fetch-Site=cross-site" + root:   "403 sysctlhttp: cross-origin",
		"PUT /http/rate Sec-Fetch-Site=same-site" + root:    "403 sysctlhttp: cross-origin",
		"PUT /http/rate Sec-Fetch-Site=same-origin" + root:  "204 ",
		"PUT /http/rate Origin=https://evil.example" + root: "403 sysctlhttp: cross-origin",
		"PUT /http/rate Origin=http://example.com" + root:   "204 ", // the host of the request
		"GET /http/rate Sec-Fetch-Site=cross-site":          "200 100\n",
		"GET /http/rate If-None-Match=*":                    "304 ",
		"PUT /http/rate If-None-Match=*" + root:             "412 ",
		"PUT /http/rate If-Match=*" + root:                  "204 ",
		`PUT /http/rate If-Match="x"` + root:                "412 ",
		"PUT /http2/box":                                    "204 ",
		`PUT /http2/box If-Match="x"`:                       "403 ", // the answer would tell of the text
		`PUT /http/flush If-Match="x"` + root:               "403 ", // the answer would tell of the text
	} {
		d, h := newDaemon(t)
		r := do(h, line, "50")
		body := text(t, r)
		status, start, _ := strings.Cut(want, " ")
		require.Equal(t, status, strconv.Itoa(r.StatusCode), "%s: %s", line, body)
		if allow, ok := strings.CutPrefix(start, "Allow: "); ok {
			require.Equal(t, allow, r.Header.Get("Allow"), line)
		} else {
			require.True(t, strings.HasPrefix(body, start), "%s: %s", line, body)
		}
		set := status == "204" && strings.HasPrefix(line, "PUT /http/rate")
		require.Equal(t, set, d.rate.Load() == 50, line)
		// No answer is a page, for any value.
		require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"), line)
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"), line)
		if body != "" {
			require.Regexp(t, "^(text/plain; charset=utf-8|application/json)$", r.Header.Get("Content-Type"), line)
		}
	}
}

func TestPutTellsWhoAndFromWhere(t *testing.T) {
	d, h := newDaemon(t)
	require.Equal(t, http.StatusNoContent, do(h, "PUT /http/rate X-User=root", "50\n").StatusCode)
	refused := do(h, "PUT /http/rate X-User=root", "5000")
	require.Equal(t, http.StatusBadRequest, refused.StatusCode)
	require.Contains(t, text(t, refused), "5000 is not from 1 to 1000")
	h.Caller = func(*http.Request) (string, sysctl.Cred, error) { return "", sysctl.Root, nil }
	require.Equal(t, http.StatusNoContent, do(h, "PUT /http/rate", "60").StatusCode)
	const address = "192.0.2.1:1234" // of httptest
	require.Equal(t, []sysctl.Change[int]{
		{Old: 100, New: 50, Path: "http/rate", Cred: sysctl.Root, Source: "http root@" + address},
		{Old: 50, New: 60, Path: "http/rate", Cred: sysctl.Root, Source: "http " + address},
	}, d.changes)
}

// The zero value lets strangers read, and nothing else.
func TestWithoutCallerEachOneIsNobody(t *testing.T) {
	d, _ := newDaemon(t)
	h := &sysctlhttp.Handler{Tree: &d.tree}
	require.Equal(t, "100\n", text(t, do(h, "GET /http/rate X-User=root", "")))
	require.Equal(t, http.StatusForbidden, do(h, "GET /http/secret X-User=root", "").StatusCode)
	require.Equal(t, http.StatusForbidden, do(h, "PUT /http/rate X-User=root Authorization=Basic_eDp5", "50").StatusCode)
	require.Empty(t, d.changes)
}

func TestListing(t *testing.T) {
	d, h := newDaemon(t)
	d.name.Store("two\nlines \x1b[31m")
	require.NoError(t, d.tree.WriteFrom("etc/myapp.conf:3", sysctl.Root, "http/rate", []byte("100")))
	require.NoError(t, d.tree.WriteFrom("alice", sysctl.Root, "http/secret", []byte("hunter2")))
	require.Equal(t, `mode        path         value                  set by            documentation
-rw-r--r--  http/claims  5s                     -
--w-------  http/flush   -                      -
-rw-r--r--  http/name    "two\nlines \x1b[31m"  Store
-rw-r--r--  http/rate    100                    etc/myapp.conf:3  requests a second
-rw-------  http/secret  -                      -
-r--r--r--  http/uptime  5s                     -
`, text(t, do(h, "GET /http/", "")))
	require.Equal(t, text(t, do(h, "GET /http", "")), text(t, do(h, "GET /http/", "")))
	all := text(t, do(h, "GET /", ""))
	require.Contains(t, all, "faults/eio     !(read faults/eio: ")
	require.Contains(t, text(t, do(h, "GET / X-User=root", "")), "hunter2")
	require.NotContains(t, all, "hunter2")
	require.NotContains(t, all, "alice", "nor where it was set")
	d.name.Store(strings.Repeat("é", 70))
	require.Contains(t, text(t, do(h, "GET /", "")), " "+strings.Repeat("é", 60)+"... ")
	require.Equal(t, "mode  path  value  set by  documentation\n", text(t, do(&sysctlhttp.Handler{Tree: new(sysctl.Tree)}, "GET /", "")))
}

func TestListingInJSON(t *testing.T) {
	d, h := newDaemon(t)
	require.NoError(t, d.tree.WriteFrom("x", sysctl.Root, "http/name", []byte("</script>")))
	r := do(h, "GET /http Accept=text/html Accept=application/json;q=0.5", "")
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "Accept", r.Header.Get("Vary"))
	require.JSONEq(t, `[
		{"path": "http/claims", "mode": "0644", "value": "5s"},
		{"path": "http/flush", "mode": "0200"},
		{"path": "http/name", "mode": "0644", "value": "</script>", "set_by": "x"},
		{"path": "http/rate", "mode": "0644", "value": 100, "doc": "requests a second"},
		{"path": "http/secret", "mode": "0600"},
		{"path": "http/uptime", "mode": "0444", "value": "5s"}
	]`, text(t, r))
	require.JSONEq(t, `{"path": "http/rate", "mode": "0644", "value": 100, "doc": "requests a second"}`,
		text(t, do(h, "GET /http/rate Accept=application/json", "")))
	require.Contains(t, text(t, do(h, "GET /faults/ Accept=application/json", "")), `"error": "read faults/eio: `)
	for _, accept := range []string{"application/json;q=0", "*/*", "text/html,", "application/*", ";;"} {
		r := do(h, "GET /http/rate Accept="+accept, "")
		require.Equal(t, "100\n", text(t, r), accept)
	}
	require.Equal(t, "[]\n", text(t, do(&sysctlhttp.Handler{Tree: new(sysctl.Tree)}, "GET / Accept=application/json", "")))
}

// A text that could be taken for another one is in quotes.
func TestTextsInTheListing(t *testing.T) {
	d, h := newDaemon(t)
	for text, want := range map[string]string{
		"":           `""`,
		"-":          `"-"`,
		"a b":        "a b",
		" a":         `" a"`,
		`a "b"`:      `a "b"`,
		`"a"`:        `"\"a\""`,
		"\xff":       `"\xff"`,
		"a\tb":       `"a\tb"`,
		"\u202eabc":  `"\u202eabc"`, // it would turn the rest of the line round
		`{"a": 1.5}`: `{"a": 1.5}`,
	} {
		d.name.Store(text)
		require.Contains(t, strings.Split(strings.Split(textOf(t, h), "http/name")[1], "  ")[1:], want)
	}
}

func textOf(t *testing.T, h http.Handler) string { return text(t, do(h, "GET /", "")) }

func TestEmptyBodyIsAnEmptyText(t *testing.T) {
	d, h := newDaemon(t)
	d.name.Store("old")
	require.Equal(t, http.StatusNoContent, do(h, "PUT /http/name X-User=root", "").StatusCode)
	require.Empty(t, d.name.Load())
	require.Equal(t, http.StatusBadRequest, do(h, "PUT /http/rate X-User=root", "").StatusCode)
}

func TestBodyThatIsTooLarge(t *testing.T) {
	d, h := newDaemon(t)
	most := strings.Repeat("x", 4<<20-1)
	require.Equal(t, http.StatusNoContent, do(h, "PUT /http/name X-User=root", most).StatusCode)
	require.Equal(t, http.StatusRequestEntityTooLarge, do(h, "PUT /http/name X-User=root", most+"x").StatusCode)
	require.Len(t, d.name.Load(), len(most))
	small := http.MaxBytesHandler(h, 10)
	require.Equal(t, http.StatusRequestEntityTooLarge, do(small, "PUT /http/name X-User=root", "12345678901").StatusCode)
	require.Len(t, d.name.Load(), len(most))
}

// An endless body is not read to its end, because there is none.
func TestBodyWithoutEnd(t *testing.T) {
	_, h := newDaemon(t)
	read := 0
	r := httptest.NewRequest("PUT", "/http/name", readerFunc(func(p []byte) (int, error) {
		require.Less(t, read, 5<<20)
		read += len(p)
		return len(p), nil
	}))
	r.Header.Set("X-User", "root")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
}

// A body is a body that nobody may read.
type body struct{ t *testing.T }

func (b body) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	_, h := newDaemon(t)
	for _, path := range []string{"/http/rate", "/http", "/none", "/http/uptime"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", path, body{t}))
	}
}

func TestTrustedOrigin(t *testing.T) {
	d, h := newDaemon(t)
	require.NoError(t, h.CrossOrigin.AddTrustedOrigin("https://admin.example"))
	r := do(h, "PUT /http/rate X-User=root Origin=https://admin.example Sec-Fetch-Site=cross-site", "50")
	require.Equal(t, http.StatusNoContent, r.StatusCode)
	require.Equal(t, 50, d.rate.Load())
}

func TestTagNamesTheText(t *testing.T) {
	d, h := newDaemon(t)
	tag := do(h, "GET /http/rate", "").Header.Get("ETag")
	require.Equal(t, http.StatusNotModified, do(h, `GET /http/rate If-None-Match="x",`+tag, "").StatusCode)
	require.Equal(t, http.StatusNotModified, do(h, `GET /http/rate If-None-Match=W/`+tag, "").StatusCode)
	require.Equal(t, http.StatusPreconditionFailed, do(h, `PUT /http/rate X-User=root If-Match=W/`+tag, "5").StatusCode)
	require.Equal(t, http.StatusNoContent, do(h, `PUT /http/rate X-User=root If-Match=`+tag, "5").StatusCode)
	require.Equal(t, http.StatusPreconditionFailed, do(h, `PUT /http/rate X-User=root If-Match=`+tag, "6").StatusCode)
	require.Equal(t, 5, d.rate.Load())
	require.NotEqual(t, tag, do(h, "GET /http/rate", "").Header.Get("ETag"))
	d.rate.Store(100)
	require.Equal(t, tag, do(h, "GET /http/rate", "").Header.Get("ETag"), "the tag is of the text, not of the write")
}

// Each client adds to the number that it has read. No addition is lost.
func TestHammerOfConditions(t *testing.T) {
	total := sysctl.Var[int]{Parse: func(text string) (int, error) {
		runtime.Gosched() // between the test of the condition and the store
		return strconv.Atoi(text)
	}, Format: strconv.Itoa}
	var tree sysctl.Tree
	_, err := tree.Register("", sysctl.Entry{Name: "total", Mode: 0o644, Handler: &total})
	require.NoError(t, err)
	h := &sysctlhttp.Handler{Tree: &tree, Caller: func(*http.Request) (string, sysctl.Cred, error) { return "", sysctl.Root, nil }}
	const clients, additions = 4, 50
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for done := 0; done < additions; {
				r := do(h, "GET /total", "")
				n, err := strconv.Atoi(strings.TrimSpace(text(t, r)))
				require.NoError(t, err)
				if do(h, "PUT /total If-Match="+r.Header.Get("ETag"), strconv.Itoa(n+1)).StatusCode == http.StatusNoContent {
					done++
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, clients*additions, total.Load())
}

// A panic in Changed is for the server, as in each http.Handler. It leaves no lock held.
func TestPanicLeavesNoLock(t *testing.T) {
	_, h := newDaemon(t)
	angry := &sysctl.Var[int]{Changed: func(sysctl.Change[int]) { panic("no") }}
	_, err := h.Tree.Register("", sysctl.Entry{Name: "angry", Mode: 0o644, Handler: angry})
	require.NoError(t, err)
	for range 2 {
		require.Panics(t, func() { do(h, "PUT /angry X-User=root If-Match=*", "1") })
	}
	require.Equal(t, http.StatusNoContent, do(h, "PUT /http/rate X-User=root If-Match=*", "1").StatusCode)
}

// An entry that goes away in the middle of a request is 404, not 500.
func TestEntryThatGoesAway(t *testing.T) {
	var tree sysctl.Tree
	h := &sysctlhttp.Handler{Tree: &tree, Caller: func(*http.Request) (string, sysctl.Cred, error) { return "", sysctl.Root, nil }}
	header, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.NewVar("")})
	require.NoError(t, err)
	r := httptest.NewRequest("PUT", "/x", readerFunc(func([]byte) (int, error) {
		header.Unregister()
		return 0, io.EOF
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusNotFound, w.Code)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
