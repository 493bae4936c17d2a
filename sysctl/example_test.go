//go:build !js

// On js the text of an errno begins with a capital.

package sysctl_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/sysctl"
)

func ExampleTree() {
	helper := sysctl.NewVar("", sysctl.Matches(`(/[\w.-]+)*`))
	var tree sysctl.Tree
	header, err := tree.Register("kernel", sysctl.Entry{
		Name:    "myevent_handler",
		Mode:    0o644,
		Handler: helper,
		Doc:     "the helper program",
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
	_ = tree.Walk(func(path string, e sysctl.Entry) error {
		fmt.Println(e)
		return nil
	})
	// Output:
	// /path/to/helper <nil>
	// /path/to/helper open kernel/myevent_handler: permission denied
	// -rw-r--r-- myevent_handler  the helper program
}

// A limit that is read in the hot path, and changed while the program runs. The program is
// told of each change, and may refuse it.
func ExampleVar() {
	limit := sysctl.NewVar(10, sysctl.Between(1, 100), func(old, new int) error {
		if new < old/2 {
			return fmt.Errorf("from %d to %d is too large a step", old, new)
		}
		return nil
	})
	limit.Changed = func(c sysctl.Change[int]) {
		fmt.Printf("%s: %d to %d, by %v, %s\n", c.Path, c.Old, c.New, c.Cred, c.Source)
	}

	var tree sysctl.Tree
	header, err := tree.Register("net", sysctl.Entry{Name: "limit", Mode: 0o644, Handler: limit})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer header.Unregister()

	fmt.Println(tree.WriteFile(sysctl.Root, "net/limit", []byte("50\n")))
	fmt.Println(tree.WriteFile(sysctl.Root, "net/limit", []byte("500\n")))
	fmt.Println(tree.WriteFile(sysctl.Root, "net/limit", []byte("1\n")))
	for requests := range limit.Load() { // an atomic load
		if requests == 49 {
			fmt.Println("the limit is reached")
		}
	}
	// Output:
	// net/limit: 10 to 50, by Root, WriteFile
	// <nil>
	// write net/limit: 500 is not from 1 to 100: invalid argument
	// write net/limit: from 50 to 1 is too large a step: invalid argument
	// the limit is reached
}

// Values of other types. Each is shown as it was written, or in a shorter form.
func ExampleNewVar() {
	var tree sysctl.Tree
	header, err := tree.Register("",
		sysctl.Entry{Name: "verbose", Mode: 0o644, Handler: sysctl.NewVar(false)},
		sysctl.Entry{Name: "timeout", Mode: 0o644, Handler: sysctl.NewVar(time.Second, sysctl.Between(0, time.Hour))},
		sysctl.Entry{Name: "body", Mode: 0o644, Handler: sysctl.NewVar[sysctl.Bytes](64 << 10)},
		sysctl.Entry{Name: "mode", Mode: 0o644, Handler: sysctl.NewVar("fast", sysctl.OneOf("fast", "safe"))},
		sysctl.Entry{Name: "allow", Mode: 0o644, Handler: sysctl.NewVar([]netip.Prefix{})},
		sysctl.Entry{Name: "uptime", Mode: 0o444, Handler: sysctl.Func(func() string { return "1h" })},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer header.Unregister()

	for _, line := range []string{"verbose=on", "timeout=90s", "body=1.5M", "mode=safe", "allow=10.0.0.0/8, ::1/128", "uptime=0"} {
		name, value, _ := strings.Cut(line, "=")
		if err := tree.WriteFile(sysctl.Root, name, []byte(value)); err != nil {
			fmt.Println(err)
			continue
		}
		text, _ := tree.ReadFile(sysctl.Root, name)
		fmt.Printf("%s: %s", name, text)
	}
	// Output:
	// verbose: true
	// timeout: 1m30s
	// body: 1536KiB
	// mode: safe
	// allow: 10.0.0.0/8,::1/128
	// open uptime: permission denied
}

// A loop that is told of each change. It ends with the entry, or its context.
func ExampleTree_Changes() {
	var level sysctl.Var[string]
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
		for _, text := range changes {
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

// A text that is made for each reader. A write is refused.
func ExampleFunc() {
	queue := make(chan string, 10)
	length := sysctl.Func(func() string { return strconv.Itoa(len(queue)) })
	var tree sysctl.Tree
	if _, err := tree.Register("jobs", sysctl.Entry{Name: "queued", Mode: 0o444, Handler: length}); err != nil {
		fmt.Println(err)
		return
	}
	queue <- "a job"
	text, err := tree.ReadFile(sysctl.Nobody, "jobs/queued")
	fmt.Printf("%q %v\n", text, err)
	fmt.Println(tree.WriteFile(sysctl.Root, "jobs/queued", []byte("0")))
	// Output:
	// "1\n" <nil>
	// open jobs/queued: permission denied
}

// Three numbers that change together, as net.ipv4.tcp_rmem.
func ExampleVec() {
	var sizes sysctl.Vec[int32]
	sizes.Store(4096, 131072, 6291456)
	var tree sysctl.Tree
	if _, err := tree.Register("net", sysctl.Entry{Name: "rmem", Mode: 0o644, Handler: &sizes}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tree.WriteFile(sysctl.Root, "net/rmem", []byte("8192 262144 6291456")))
	fmt.Println(tree.WriteFile(sysctl.Root, "net/rmem", []byte("1 2")))
	fmt.Println(sizes.Load(), sizes.At(0))
	// Output:
	// <nil>
	// write net/rmem: 2 numbers for 3 values: invalid argument
	// [8192 262144 6291456] 8192
}

// Handlers of one's own, one around a stock handler and one from nothing.
func ExampleHandler() {
	var name sysctl.Var[string]
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
	var threads sysctl.Var[int32]
	var host, secret sysctl.Var[string]
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
