package main

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/kprim/kprim/examples/internal/shell"
)

// session loads the module five times. linux/printed.txt has the same session
// with a real kernel.
func session(ctx context.Context, out io.Writer, args []string) (err error) {
	if len(args) > 0 {
		return errors.New("usage: faulty, without arguments")
	}
	sh, err := shell.New(out)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(sh.Close(), err) }()
	sh.Type("insmod myevent_handler.ko")
	sh.Register(sh.Helper())
	return errors.Join(
		monitorSecond(ctx, sh),
		monitorFirst(ctx, sh),
		testFirst(ctx, sh),
		noHelper(ctx, sh, "no helper is registered", ""),
		noHelper(ctx, sh, "the helper does not exist", "/nowhere"))
}

func monitorSecond(ctx context.Context, sh *shell.Shell) error {
	sh.Title("the monitor second: the thread is woken")
	sh.EmptyLog()
	m := newModule(ctx, sh)
	sh.Type("insmod test.ko")
	m.load(false)
	err := m.settle()
	sh.ShowLog()
	sh.Ps(m.thread)
	sh.Type("rmmod test")
	m.unload()
	return err
}

// monitorFirst does not wait for a helper: the thread is asleep already, and
// only the stop wakes it.
func monitorFirst(ctx context.Context, sh *shell.Shell) error {
	sh.Title("the monitor first: asleep for ever, until the stop wakes it")
	sh.EmptyLog()
	m := newModule(ctx, sh)
	sh.Type("insmod test.ko post_first=1")
	m.load(true)
	sh.ShowLog()
	sh.Ps(m.thread)
	sh.Type("rmmod test")
	m.unload()
	return nil
}

func testFirst(ctx context.Context, sh *shell.Shell) error {
	sh.Title("the monitor first, and a test before the sleep: right")
	sh.EmptyLog()
	m := newModule(ctx, sh)
	m.testFirst = true
	sh.Type("insmod test.ko post_first=1 test_first=1")
	m.load(true)
	err := m.settle()
	sh.ShowLog()
	sh.Type("rmmod test")
	m.unload()
	return err
}

// noHelper registers a path that cannot be started.
func noHelper(
	ctx context.Context, sh *shell.Shell, title, path string,
) error {
	sh.Title(title)
	sh.Register(path)
	m := newModule(ctx, sh)
	sh.Type("insmod test.ko")
	m.load(false)
	err := m.settle()
	sh.Type("rmmod test")
	m.unload()
	if err == nil {
		return errors.New("a helper that is not there was started")
	}
	return nil
}

// settle waits until the helper has ended and the thread sleeps. The thread has
// the CPU when it reports the start, and keeps it until it sleeps.
func (m *module) settle() (err error) {
	m.cpu.Lock()
	defer m.cpu.Unlock()
	m.cpu.Sleep(func() { err = cmp.Or(<-m.started, <-m.ended) })
	return err
}
