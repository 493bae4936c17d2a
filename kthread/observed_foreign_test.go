//go:build !mutant

package kthread_test

import "slices"

// A group of scripts says nothing of this library.
type foreign struct {
	name string
	is   func(c observedCase) bool
}

// foreigners are the cases that cannot be done here.
var foreigners = []foreign{
	{"a user process, whose signals kill it", has("user")},
	{"a semaphore: golang.org/x/sync has one", has("seminit", "down", "downi", "downk", "downtry", "downt", "up", "semcount")},
	{"a rw_semaphore: sync.RWMutex is one, which nothing ends", has("dread", "dreadk", "dwrite", "dwritek", "dreadtry", "dwritetry", "uread", "uwrite", "downgrade")},
	{"a SIGKILL that ends a killable sleep: there is no killable sleep", observedCase.killed},
	{"a CPU of its own: Go places goroutines itself", has("bind", "createcpu")},
	{"the function and the data of a thread: a closure has its data", has("isfn", "isdata")},
	{"a sender inside the kernel: all senders are in one program", has("allowk")},
}

func has(names ...string) func(observedCase) bool {
	return func(c observedCase) bool {
		return slices.ContainsFunc(c.ops(), func(op []string) bool { return slices.Contains(names, op[0]) })
	}
}

// killed reports whether a SIGKILL that was allowed meets a killable sleep.
func (c observedCase) killed() bool {
	allowed := slices.ContainsFunc(c.ops(), func(op []string) bool { return op[0] == "allow" && op[1] == "9" })
	sleeps := slices.ContainsFunc(c.ops(), func(op []string) bool {
		return slices.Contains([]string{"waitk", "waitkx", "waitkt", "schedtk", "wck", "wckt"}, op[0]) || op[len(op)-1] == "K" ||
			op[0] == "woken" && op[2] == "K"
	})
	return allowed && sleeps
}

// inapplicable returns why the case cannot be done here, or "".
func (c observedCase) inapplicable() string {
	for _, f := range foreigners {
		if f.is(c) {
			return f.name
		}
	}
	return ""
}
