package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kprim/kprim/sysctl"
)

// session prints the commands of the article's author, and their output.
func session(ctx context.Context, w io.Writer, args []string) (err error) {
	out := &screen{Writer: w}
	defer func() { err = cmp.Or(out.err, err) }()
	if len(args) > 1 || len(args) == 1 && (args[0] == "" || args[0][0] == '-') {
		return errors.New("usage: monitor-and-helper [/path/to/helper]")
	}
	// The helper must not see this secret of the program.
	fmt.Fprintln(out, "# export KPRIM_SECRET=hunter2")
	if err := os.Setenv("KPRIM_SECRET", "hunter2"); err != nil {
		return err
	}
	defer os.Unsetenv("KPRIM_SECRET")
	helper, remove, err := installHelper(out, args)
	if err != nil {
		return err
	}
	defer remove()
	handler, err := register(out, helper)
	if err != nil {
		return err
	}
	// A user's helper may have run before, and left these files.
	messages, err1 := watch(helper, "messages")
	environ, err2 := watch(helper, "environ")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}

	fmt.Fprintln(out, "# insmod test.ko")
	m := newModule(ctx, out, handler)
	m.load()
	err = m.settle()
	if err == nil {
		err = show(out, messages, environ)
	}
	fmt.Fprintln(out, "# rmmod test")
	m.unload()
	return err
}

// A screen remembers the first error of a write. The code that prints does not
// look at errors.
type screen struct {
	io.Writer
	err error
}

func (s *screen) Write(text []byte) (int, error) {
	n, err := s.Writer.Write(text)
	s.err = cmp.Or(s.err, err)
	return n, err
}

const entryName = "kernel/myevent_handler"

// entry is a line of kern_table. It is there before the module is loaded.
func entry(handler *sysctl.Var[string]) sysctl.Entry {
	return sysctl.Entry{
		// .procname = "myevent_handler", .data = &myevent_handler,
		// .maxlen = 256, .mode = 0644, .proc_handler = &proc_dostring
		Name:    path.Base(entryName),
		Mode:    0o644, // root writes it, and all users read it
		Handler: sysctl.DoString(handler, 256),
	}
}

// register makes the entry and writes the helper's path to it.
func register(out io.Writer, helper string) (*sysctl.Var[string], error) {
	var handler sysctl.Var[string]
	var proc sysctl.Tree
	if _, err := proc.Register("kernel", entry(&handler)); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "# echo %s > /proc/sys/%s\n", helper, entryName)
	err := proc.WriteFile(sysctl.Root, entryName, []byte(helper+"\n"))
	if kept := handler.Load(); err == nil && kept != helper {
		err = fmt.Errorf("the entry keeps 255 bytes of the path: %s", kept)
	}
	return &handler, err
}

// settle waits for the end of both threads and of the helper.
func (m *module) settle() error {
	for _, t := range m.threads {
		if err := t.Wait(context.Background()); err != nil {
			return err
		}
	}
	return <-m.helper
}

// show prints the helper's report, arguments and environment. Then it counts
// the secrets in the program's environment and in the helper's.
func show(out io.Writer, messages, environ *file) error {
	report, err1 := messages.added()
	given, err2 := environ.added()
	slices.Sort(given)
	fmt.Fprintf(out, "# cat messages\n%s", strings.Join(report, ""))
	fmt.Fprintf(out, "# sort environ\n%s", strings.Join(given, ""))
	const grep = "grep -c ^KPRIM_SECRET="
	fmt.Fprintf(out, "# env | %s; %s environ\n", grep, grep)
	fmt.Fprintln(out, secrets(os.Environ()))
	fmt.Fprintln(out, secrets(given))
	return errors.Join(err1, err2)
}

func secrets(lines []string) (n int) {
	for _, line := range lines {
		if strings.HasPrefix(line, "KPRIM_SECRET=") {
			n++
		}
	}
	return n
}
