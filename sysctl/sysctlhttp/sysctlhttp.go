// Package sysctlhttp serves a tree of package sysctl over HTTP. People list it with a
// browser or curl, and scripts read and set values.
//
//	admin := &sysctlhttp.Handler{Tree: &tree, Caller: caller}
//	mux.Handle("/tunables/", http.StripPrefix("/tunables", admin))
//
//	$ curl localhost:8080/tunables/
//	mode        path       value  set by                documentation
//	-rw-r--r--  http/rate  100    etc/myapp.conf:3      requests a second
//	$ curl -u alice:secret -X PUT -d 50 localhost:8080/tunables/http/rate
//
// # Which tool
//
//   - Use a Handler for people and scripts that list, read and set values.
//   - Use package sysctlexpvar for programs that collect variables.
//   - Use package procfs, which mounts the tree, for programs that only know files.
//
// # Requests
//
// The path of a URL is the path of an entry or of a directory. The methods are:
//
//   - GET of a directory lists the entries in and below it: their modes, paths, values
//     and documentation, and where each value was set.
//   - GET of an entry gives its text.
//   - Both are plain text, or JSON if the request accepts application/json.
//   - PUT of an entry writes the body of the request to it, and answers 204.
//   - HEAD is GET without the body. No other method is supported, and no header or
//     parameter replaces the method.
//
// # Rights
//
// [Handler.Caller] says whose request it is. Without it each caller is [sysctl.Nobody]:
// strangers read the entries with a mode like 0644, and set none. The modes of the entries
// do the rest. A listing shows the mode, the name and the documentation of every entry. It
// shows a value, and where it was set, only to a caller that may read it.
//
// A request that a web page of another site makes in a browser is refused, if it is a PUT:
// see [Handler.CrossOrigin]. An address is no proof: a page that a browser on the same
// machine shows comes from 127.0.0.1 too. So Caller should ask for a password, a token or
// a certificate, and not for an address.
//
// # Answers
//
// An error is plain text with its reason:
//
//   - 400 if the handler of the entry refuses the text, by any error without a status of
//     its own here
//   - 403 if Caller refuses the request, the caller lacks the right, the request is from
//     another site, or the handler's error matches [syscall.EACCES] or [syscall.EPERM]
//   - 404 if there is no such entry
//   - 405 if no caller can do this: a PUT of a directory, or of an entry with a mode like
//     0444. The header Allow has the methods that there are.
//   - 409 if the handler's error matches [syscall.EBUSY]
//   - 412 if a condition of the request does not hold: see below
//   - 413 if the text has 4 MiB or more, the limit of [sysctl.Tree.WriteFile], or more
//     than an [net/http.MaxBytesHandler] around the Handler allows
//   - 415 if the body is compressed, and 400 if it is a part of the text
//   - 500 if the handler cannot read the entry, or its error matches [syscall.EIO]
//
// The body of a request is read after the rights were checked.
//
// # Conditions
//
// The text of an entry comes with an ETag. A PUT with If-Match and this ETag is done only
// if the entry still has that text. Of two such requests that would replace the same
// text, one gets 412. PUTs without a condition, and writes by other ways, do not wait for
// those with one.
package sysctlhttp

import (
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/kprim/kprim/sysctl"
)

// A Handler serves a tree. It answers for the path of the URL as it is, so a Handler below
// a prefix is in an [http.StripPrefix]. Its fields must not change after the first
// request, and it must not be copied then. Its methods may be called by several goroutines
// at once.
type Handler struct {
	Tree *sysctl.Tree // must be set

	// Caller says whose request it is: a name, for the Source of a [sysctl.Change], and a
	// Cred, which decides over the rights. A request for which it returns an error is
	// refused with 403 and the text of the error. Nil takes each caller for Nobody.
	//
	// To ask for a password by 401, wrap the Handler in a handler that does so, and
	// take the name from the context of the request.
	Caller func(*http.Request) (name string, cred sysctl.Cred, err error)

	// CrossOrigin refuses a PUT that a page of another site makes in a browser. The zero
	// value trusts no other site. AddTrustedOrigin adds one.
	CrossOrigin http.CrossOriginProtection

	conditions sync.Mutex // held over a PUT with a condition, from its test to its write
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A value may be any text, also a script. A browser must not take it for a page, and
	// must not show it to the next user.
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	c := call{Handler: h, w: w, r: r}
	var err error
	if h.Caller != nil {
		if c.name, c.cred, err = h.Caller(r); err != nil {
			c.fail(http.StatusForbidden, err)
			return
		}
	}
	if c.path, c.info, err = c.find(); err != nil {
		c.fail(http.StatusNotFound, err)
		return
	}
	c.answer()
}

// A call is one request.
type call struct {
	*Handler
	w    http.ResponseWriter
	r    *http.Request
	name string
	cred sysctl.Cred
	path string // in the tree; "." is the root
	info fs.FileInfo
}

func (c *call) answer() {
	put := c.r.Method == http.MethodPut
	switch {
	case !put && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead, !c.allows(c.r.Method):
		c.w.Header().Set("Allow", c.allowed())
		c.fail(http.StatusMethodNotAllowed, fmt.Errorf("sysctlhttp: %s %s: the method is not allowed", c.r.Method, c.path))
	case put:
		c.put()
	case c.info.IsDir():
		c.list()
	default:
		c.get()
	}
}

// find returns the path of the URL in the tree, and the file or directory there.
func (c *call) find() (string, fs.FileInfo, error) {
	name, dir := strings.CutSuffix(strings.TrimPrefix(c.r.URL.Path, "/"), "/")
	if name == "" {
		name = "."
	}
	// The FS knows only clean paths: none with .. or two slashes.
	info, err := fs.Stat(c.Tree.FS(c.cred), name)
	if err == nil && dir && !info.IsDir() {
		err = &fs.PathError{Op: "stat", Path: name + "/", Err: fs.ErrNotExist}
	}
	return name, info, err
}

// allows reports whether some caller may use the method here.
func (c *call) allows(method string) bool {
	switch {
	case c.info.IsDir():
		return method != http.MethodPut
	case method == http.MethodPut:
		return c.info.Mode()&0o222 != 0
	}
	return c.info.Mode()&0o444 != 0
}

// allowed returns the value of the header Allow.
func (c *call) allowed() string {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
		if c.allows(method) {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

// fail answers with an error. http.Error makes it plain text.
func (c *call) fail(status int, err error) { http.Error(c.w, err.Error(), status) }
