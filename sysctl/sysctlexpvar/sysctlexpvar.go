// Package sysctlexpvar shows a tree of package sysctl among the variables of package
// expvar, for programs that collect these:
//
//	expvar.Publish("tunables", sysctlexpvar.Func(&tree, sysctl.Nobody))
//
// The tree is an object of objects, one for each directory. An entry is a number, a bool
// or an object if its handler has a method TextIsJSON that says so: see
// [sysctl.Var.TextIsJSON]. The handlers of package sysctl for one number have it too. All
// other values are strings, so the type of a value never changes. A float that JSON cannot
// have, such as NaN, is a string as well.
//
//	"tunables": {"http": {"rate": 100, "timeout": "1.5s"}}
//
// It is a package of its own because package expvar brings an HTTP server, and serves
// /debug/vars on [net/http.DefaultServeMux]. To set values by HTTP, use package sysctlhttp.
package sysctlexpvar

import (
	"expvar"
	"strings"

	"github.com/kprim/kprim/internal/jsontext"
	"github.com/kprim/kprim/sysctl"
)

// Func returns a variable for [expvar.Publish]. Its value is the tree as cred sees it, read
// at each call. Often strangers can read the variables of a program, so cred is mostly
// [sysctl.Nobody], and secrets are in entries that Nobody may not read.
//
// Entries that cred may not read are left out. So are entries whose handlers fail, and
// directories without entries. Each entry is as at one moment, but two entries may be as
// at two moments.
func Func(tree *sysctl.Tree, cred sysctl.Cred) expvar.Func {
	return func() any {
		root := map[string]any{}
		// The error is nil, because the function returns none.
		_ = tree.Walk(func(path string, e sysctl.Entry) error {
			if text, err := tree.ReadFile(cred, path); err == nil {
				put(root, path, jsontext.Of(e.Handler, text))
			}
			return nil
		})
		return root
	}
}

// put stores a value in the object of its directory.
func put(object map[string]any, path string, value any) {
	parts := strings.Split(path, "/")
	for _, dir := range parts[:len(parts)-1] {
		inner, ok := object[dir].(map[string]any)
		if !ok { // or an entry of that name was unregistered meanwhile
			inner = map[string]any{}
			object[dir] = inner
		}
		object = inner
	}
	object[parts[len(parts)-1]] = value
}
