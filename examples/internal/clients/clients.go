// Package clients visits a web server whose settings change while it runs. The programs
// [tunables] and [tunables-plain] share it, so both print the same transcript.
//
// [tunables]: https://github.com/kprim/kprim/tree/main/examples/tunables
// [tunables-plain]: https://github.com/kprim/kprim/tree/main/examples/tunables-plain
package clients

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// Start starts a server. The server has its files in dir, takes flags, and writes its log
// to log. Start returns the address of the server, and a function that stops it.
type Start func(dir string, flags []string, log io.Writer) (url string, stop func() error, err error)

// site is the file of the machine's owner. The last line has a misspelt key.
const site = `# more than the default
http.rate = 50
http.timeout = 20ms
http.burts = 3
`

// Session starts the server twice, visits it, and writes all that happens to out.
func Session(out io.Writer, start Start) error {
	dir, err := os.MkdirTemp("", "tunables")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Mkdir(filepath.Join(dir, "app.d"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "app.d/10-site.conf"), []byte(site), 0o644); err != nil {
		return err
	}
	s := &session{dir: dir, start: start, out: &writer{to: out}}
	s.run([]string{"-http.burst=4"}, func() {
		s.settings()
		s.limits()
		s.strangers()
	})
	s.show("app.d/99-saved.conf")
	s.run(nil, func() { s.get("/admin/") })
	return s.err
}

type session struct {
	dir   string
	start Start
	out   *writer
	url   string
	err   error // the first one
}

// run starts the server, lets it be visited, and stops it.
func (s *session) run(flags []string, visit func()) {
	s.say("$ daemon %s", strings.Join(flags, " "))
	url, stop, err := s.start(s.dir, flags, s.out)
	if err != nil {
		s.failed(err)
		return
	}
	s.url = url
	visit()
	http.DefaultClient.CloseIdleConnections() // or the server would wait for them
	s.say("^C")
	s.failed(stop())
}

func (s *session) failed(err error) {
	if s.err == nil {
		s.err = err
	}
}

// settings looks at the settings and changes some.
func (s *session) settings() {
	s.get("/admin/")
	s.put("alice", "/admin/http/rate", "0.01")
	s.put("alice", "/admin/http/rate", "1e9")
	s.put("alice", "/admin/http/timeout", "2m")
	s.put("alice", "/admin/http/max_body", "1K")
	s.put("alice", "/admin/http/motd", "back at five\n")
	s.put("alice", "/admin/http/motd", strings.Repeat("ha", 50))
	s.put("alice", "/admin/log/level", "debug")
	s.put("alice", "/admin/http/uptime", "1s")
	s.put("alice", "/admin/http/none", "1")
	s.get("/admin/http/max_body")
}

// limits runs into each limit.
func (s *session) limits() {
	s.get("/")
	s.do("POST", "/upper", "", "hello")
	s.do("POST", "/upper", "", strings.Repeat("x", 2000))
	s.get("/slow")
	s.get("/")
	s.put("alice", "/admin/http/closed", "on")
	s.get("/")
	s.put("alice", "/admin/http/closed", "off")
	s.put("alice", "/admin/http/allow", "10.0.0.0/8")
	s.get("/")
}

// strangers ask for things that are not for them.
func (s *session) strangers() {
	s.put("", "/admin/http/rate", "1")
	s.put("mallory", "/admin/http/rate", "1")
	s.get("/admin/http/token")
	s.put("alice", "/admin/http/token", "open sesame")
	s.put("alice", "/admin/http/rate", "1")
	s.get("/debug/vars")
}

func (s *session) get(path string) { s.do("GET", path, "", "") }

func (s *session) put(user, path, body string) { s.do("PUT", path, user, body) }

// do sends a request, as curl does, and shows the answer.
func (s *session) do(method, path, user, body string) {
	line := "$ curl"
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.failed(err)
		return
	}
	if user != "" {
		line += " -u " + user
		r.SetBasicAuth(user, map[string]string{"alice": "sesame", "mallory": "guess"}[user])
	}
	if method != "GET" {
		line += " -X " + method + " -d " + short(body)
	}
	s.say("%s %s", line, path)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.failed(err)
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	s.failed(err)
	s.answered(path, answer.StatusCode, string(text))
}

// short is how a transcript shows the body of a request.
func short(body string) string {
	if len(body) > 40 {
		return fmt.Sprintf("%.4s... (%d bytes)", body, len(body))
	}
	return "'" + strings.TrimSuffix(body, "\n") + "'"
}

// answered shows an answer. An answer for people has its text, and an error the name of
// its status. Of /debug/vars only the settings are shown, because the rest varies.
func (s *session) answered(path string, status int, text string) {
	switch {
	case status == http.StatusBadRequest:
		text = strings.TrimSuffix(strings.TrimSpace(text), ": "+syscall.EINVAL.Error())
	case status != http.StatusOK:
		text = http.StatusText(status)
	case path == "/debug/vars":
		text = strings.TrimSuffix(lineWith(`"tunables"`, text), ",")
	}
	text = strings.TrimSpace(text)
	if strings.Contains(text, "\n") { // a table, whose columns stand below each other
		s.say("%d\n%s", status, text)
	} else {
		s.say("%d %s", status, text)
	}
}

func lineWith(word, text string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// show shows a file.
func (s *session) show(name string) {
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	s.failed(err)
	s.say("$ cat %s\n%s", name, strings.TrimSpace(string(text)))
}

func (s *session) say(format string, args ...any) {
	fmt.Fprintln(s.out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// A writer replaces each port by the same one. The server writes its log to it while a
// client waits.
type writer struct {
	mu sync.Mutex
	to io.Writer
}

var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(port.ReplaceAllString(string(p), "127.0.0.1:50000")) {
		if _, err := io.WriteString(w.to, fold(line)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// seam matches the places at which a long line may break: before a key and after a comma.
var seam = regexp.MustCompile(` [a-z]+=|,`)

// fold breaks a line of more than 80 columns, so that a terminal need not break it in the
// middle of a word.
func fold(line string) string {
	const columns, indent = 80, "    "
	folded := ""
	for len(strings.TrimSuffix(line, "\n")) > columns {
		cut := 0
		for _, place := range seam.FindAllStringIndex(line[:columns], -1) {
			cut = place[0]
			if line[cut] == ',' {
				cut++
			}
		}
		if cut <= len(indent) {
			break // one long word
		}
		folded += line[:cut] + "\n"
		line = indent + strings.TrimPrefix(line[cut:], " ")
	}
	return folded + line
}
