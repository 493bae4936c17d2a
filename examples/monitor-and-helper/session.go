package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kprim/kprim/sysctl"
)

// session is what the article's author typed, and what was shown.
func session(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 1 || len(args) == 1 && (args[0] == "" || args[0][0] == '-') {
		return errors.New("usage: monitor-and-helper [/path/to/helper]")
	}
	helper, remove, err := installHelper(args)
	if err != nil {
		return err
	}
	defer remove()

	// The entry must be there before the module is: kernel/sysctl.c has it.
	var handler sysctl.String
	var proc sysctl.Tree
	header, err := proc.Register("kernel", sysctl.Entry{
		Name:    "myevent_handler",
		Mode:    0o644,
		Handler: sysctl.DoString(&handler, 256),
	})
	if err != nil {
		return err
	}
	defer header.Unregister()

	fmt.Fprintf(out, "# echo %s > /proc/sys/kernel/myevent_handler\n", helper)
	err = proc.WriteFile(sysctl.Root, "kernel/myevent_handler", []byte(helper+"\n"))
	if err != nil {
		return err
	}
	if kept := handler.Load(); kept != helper {
		return fmt.Errorf("the entry keeps 255 bytes without a word; of the helper's path that is %s", kept)
	}
	messages := filepath.Join(filepath.Dir(helper), "messages")
	seen, err := read(messages)
	if err != nil {
		return err
	}

	fmt.Fprintln(out, "# insmod test.ko")
	m := newModule(ctx, out, &handler)
	m.load()
	err = m.settle()
	if err == nil {
		err = show(out, messages, len(seen))
	}
	fmt.Fprintln(out, "# rmmod test")
	m.unload()
	return err
}

// settle waits until the threads have ended by themselves, and the helper too.
func (m *module) settle() error {
	for _, t := range m.threads {
		if err := t.Wait(context.Background()); err != nil {
			return err
		}
	}
	return <-m.helper
}

// show prints what was added to the file of messages.
func show(out io.Writer, messages string, seen int) error {
	text, err := read(messages)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "# tail %s\n", filepath.Base(messages))
	_, err = out.Write(text[min(seen, len(text)):])
	return err
}

// read returns what is in the file, nothing if there is no file yet.
func read(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return text, err
}

//go:embed helper.sh
var script []byte

// installHelper returns the path of the helper: the argument, or that of the
// program's own script in a temporary directory, which remove deletes.
func installHelper(args []string) (path string, remove func(), err error) {
	if len(args) == 1 {
		path, err = filepath.Abs(args[0])
		return path, func() {}, err
	}
	dir, err := os.MkdirTemp("", "monitor-and-helper-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path = filepath.Join(dir, "helper")
	if err = os.WriteFile(path, script, 0o755); err != nil { // chmod +x helper
		remove()
		return "", nil, err
	}
	return path, remove, nil
}
