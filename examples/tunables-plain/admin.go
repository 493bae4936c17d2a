package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
)

// An admin serves the settings.
type admin struct {
	*daemon
	crossOrigin http.CrossOriginProtection
}

func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	name, err := a.operator(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	path := strings.Trim(r.URL.Path, "/")
	s := a.find(path)
	switch {
	case s == nil && !a.isDir(path):
		http.Error(w, "there is no setting "+path, http.StatusNotFound)
	case r.Method == http.MethodPut && s != nil && s.store != nil:
		a.put(w, r, s, name)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", allowed(s))
		http.Error(w, "the method is not allowed", http.StatusMethodNotAllowed)
	case s == nil:
		a.list(w, path, name)
	case !s.readableBy(name):
		http.Error(w, path+" is a secret", http.StatusForbidden)
	default:
		fmt.Fprintln(w, s.text())
	}
}

func allowed(s *setting) string {
	if s != nil && s.store != nil {
		return "GET, HEAD, PUT"
	}
	return "GET, HEAD"
}

// readableBy reports whether a caller may see the value. An operator has a name.
func (s *setting) readableBy(name string) bool { return name != "" || s.mode&4 != 0 }

func (s *setting) isIn(dir string) bool { return dir == "" || strings.HasPrefix(s.name, dir+"/") }

func (a *admin) isDir(path string) bool {
	for _, s := range a.settings {
		if s.isIn(path) {
			return true
		}
	}
	return false
}

func (a *admin) put(w http.ResponseWriter, r *http.Request, s *setting, name string) {
	err := a.crossOrigin.Check(r)
	if err == nil && name == "" {
		err = errors.New("only an operator may do this")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.set(strings.TrimSuffix(string(text), "\n"), "http "+name+"@"+r.RemoteAddr); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// list shows the settings in a directory.
func (a *admin) list(w io.Writer, dir, name string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "mode\tpath\tvalue\tset by\tdocumentation")
	for _, s := range a.settings {
		if !s.isIn(dir) {
			continue
		}
		value, by := "-", "-"
		if s.readableBy(name) {
			value, by = s.text(), cmp.Or(s.setBy(), "-")
			if quoted := strconv.Quote(value); quoted != `"`+value+`"` {
				value = quoted
			}
		}
		fmt.Fprintf(t, "%v\t%s\t%s\t%s\t%s\n", os.FileMode(s.mode), s.name, value, by, s.doc)
	}
	_ = t.Flush() // the client may have gone
}

// vars returns the settings for package expvar: an object for each directory.
func (d *daemon) vars() any {
	root := map[string]map[string]any{}
	for _, s := range d.settings {
		if !s.readableBy("") {
			continue
		}
		dir, base, _ := strings.Cut(s.name, "/")
		if root[dir] == nil {
			root[dir] = map[string]any{}
		}
		root[dir][base] = s.text()
		if s.value == nil {
			continue
		}
		switch v := s.value().(type) {
		case int, float64, bool:
			root[dir][base] = v
		}
	}
	return root
}
