//go:build !js

// On js the text of an errno begins with a capital.

package sysctl_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"github.com/kprim/kprim/sysctl"
)

func ExampleTree() {
	var helper sysctl.String
	var tree sysctl.Tree
	header, err := tree.Register("kernel", sysctl.Entry{
		Name:    "myevent_handler",
		Mode:    0o644,
		Handler: sysctl.DoString(&helper, 256),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer header.Unregister()

	err = tree.WriteFile(sysctl.Root, "kernel/myevent_handler", []byte("/path/to/helper\n"))
	fmt.Println(helper.Load(), err)
	err = tree.WriteFile(sysctl.Nobody, "kernel/myevent_handler", []byte("/bin/sh\n"))
	fmt.Println(helper.Load(), err)
	// Output:
	// /path/to/helper <nil>
	// /path/to/helper open kernel/myevent_handler: permission denied
}

// A limit that is read in the hot path, and changed while the program runs.
func ExampleInt() {
	var limit sysctl.Int
	limit.Store(10)

	var tree sysctl.Tree
	header, err := tree.Register("kernel", sysctl.Entry{
		Name:    "limit",
		Mode:    0o644,
		Handler: sysctl.DoIntVecMinMax(&limit, 1, 100),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer header.Unregister()

	fmt.Println(tree.WriteFile(sysctl.Root, "kernel/limit", []byte("50\n")))
	fmt.Println(tree.WriteFile(sysctl.Root, "kernel/limit", []byte("500\n")))
	for requests := range limit.Load() { // an atomic load
		if requests == 49 {
			fmt.Println("the limit is reached")
		}
	}
	// Output:
	// <nil>
	// write kernel/limit: 500 is not from 1 to 100: invalid argument
	// the limit is reached
}

// A loop that is told of each change. It ends with the entry, or its context.
func ExampleTree_Changes() {
	var level sysctl.String
	var tree sysctl.Tree
	header, err := tree.Register("debug", sysctl.Entry{
		Name: "level", Mode: 0o644, Handler: sysctl.DoString(&level, 16),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	changes := tree.Changes(context.Background(), "debug/level") // from here on
	var loop sync.WaitGroup
	loop.Go(func() {
		for text := range changes {
			fmt.Print("now ", text)
			header.Unregister()
		}
	})
	fmt.Println(tree.WriteFile(sysctl.Root, "debug/level", []byte("verbose\n")))
	loop.Wait()
	// Unordered output:
	// <nil>
	// now verbose
}

// An upper is a handler around another one: it takes a word of ASCII letters, and
// stores it in capitals.
type upper struct{ sysctl.Handler }

// Write stores a text as long as p. Capitals of other letters may have another length.
// Then the count and the position would not fit p.
func (u upper) Write(r *sysctl.Request, p []byte) (int, error) {
	notInWord := func(c rune) bool { return c <= ' ' || c > '~' }
	if bytes.ContainsFunc(bytes.TrimSpace(p), notInWord) {
		return 0, syscall.EINVAL
	}
	return u.Handler.Write(r, bytes.ToUpper(p))
}

// A trigger is a handler that does something when it is written to.
type trigger func()

func (trigger) Read(*sysctl.Request, []byte) (int, error) { return 0, nil }

func (f trigger) Write(r *sysctl.Request, p []byte) (int, error) {
	f()
	r.Pos += int64(len(p))
	return len(p), nil
}

// Handlers of one's own, one around a stock handler and one from nothing.
func ExampleHandler() {
	var name sysctl.String
	var tree sysctl.Tree
	header, err := tree.Register("net",
		sysctl.Entry{Name: "name", Mode: 0o644, Handler: upper{sysctl.DoString(&name, 16)}},
		sysctl.Entry{Name: "flush", Mode: 0o200, Handler: trigger(func() { fmt.Println("flushed") })},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer header.Unregister()

	fmt.Println(tree.WriteFile(sysctl.Root, "net/name", []byte("eth0\n")), name.Load())
	fmt.Println(tree.WriteFile(sysctl.Root, "net/name", []byte("ıı\n")), name.Load())
	fmt.Println(tree.WriteFile(sysctl.Root, "net/name", []byte("two words\n")))
	fmt.Println(tree.WriteFile(sysctl.Root, "net/flush", []byte("1\n")))
	_, err = tree.ReadFile(sysctl.Root, "net/flush")
	fmt.Println(err)
	// Output:
	// <nil> ETH0
	// write net/name: invalid argument ETH0
	// write net/name: invalid argument
	// flushed
	// <nil>
	// open net/flush: permission denied
}

// All that Nobody may read, as find and cat would show it.
func ExampleTree_FS() {
	var threads sysctl.Int
	var host, secret sysctl.String
	threads.Store(100)
	host.Store("troll")
	var tree sysctl.Tree
	header, err := tree.Register("kernel",
		sysctl.Entry{Name: "threads-max", Mode: 0o644, Handler: sysctl.DoIntVec(&threads)},
		sysctl.Entry{Name: "hostname", Mode: 0o444, Handler: sysctl.DoString(&host, 65)},
		sysctl.Entry{Name: "secret", Mode: 0o600, Handler: sysctl.DoString(&secret, 65)},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer header.Unregister()

	view := tree.FS(sysctl.Nobody)
	err = fs.WalkDir(view, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(view, path)
		fmt.Printf("%s: %s", path, text)
		if err != nil {
			fmt.Println(err)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// kernel/hostname: troll
	// kernel/secret: open kernel/secret: permission denied
	// kernel/threads-max: 100
	// <nil>
}
