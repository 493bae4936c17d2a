package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/kprim/kprim/examples/internal/shell"
	"github.com/kprim/kprim/usermodehelper"
)

// session loads the module twice. linux/printed.txt has the same session with a
// real kernel.
func session(ctx context.Context, out io.Writer, args []string) (err error) {
	if len(args) > 0 {
		return errors.New("usage: faulty, without arguments")
	}
	sh, err := shell.New(out)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(sh.Close(), err) }()
	m := newModule(ctx, sh)
	err1 := errors.Join(m.events(), m.stray(), m.overwritten(), m.signals())
	last := newModule(ctx, sh)
	return errors.Join(err1, last.postedMeanwhile())
}

func (m *module) events() error {
	sh := m.shell
	sh.Title("two events, two helpers")
	sh.EmptyLog()
	m.insmod("insmod mykthread.ko")
	sh.Ps(m.thread)
	sh.Type("echo 1 > /proc/myevent")
	m.post(1)
	err1 := m.served()
	sh.Type("echo 2 > /proc/myevent")
	m.post(2)
	err2 := m.served()
	sh.ShowLog()
	return cmp.Or(err1, err2)
}

func (m *module) stray() error {
	m.shell.Title("a stray wake-up: event 2 again")
	m.shell.EmptyLog()
	m.shell.Type("echo w > /proc/myevent")
	m.strayWakeUp()
	err := m.served()
	m.shell.ShowLog()
	return err
}

func (m *module) overwritten() error {
	m.shell.Title("two posts before the thread runs: one helper, for 5")
	m.shell.EmptyLog()
	m.shell.Type("echo 4 5 > /proc/myevent")
	m.post(4)
	m.post(5)
	err := m.served()
	m.shell.ShowLog()
	return err
}

func (m *module) signals() error {
	sh := m.shell
	sh.Title("SIGTERM is not allowed, SIGKILL ends the loop")
	sh.Type("killall -TERM mykthread")
	err1 := m.thread.Signal(syscall.SIGTERM)
	sh.Ps(m.thread)
	sh.Type("killall -KILL mykthread")
	err2 := m.thread.Signal(syscall.SIGKILL)
	m.cpu.Sleep(func() { <-m.out })
	sh.Ps(m.thread)
	return cmp.Or(err1, err2, m.rmmod())
}

// postedMeanwhile posts 7 while the thread waits for the end of its helper. We
// have the CPU then, so the thread cannot go on before the post.
func (m *module) postedMeanwhile() error {
	sh := m.shell
	sh.Title("7 is posted while the helper runs: asleep, until a stray wake-up")
	sh.EmptyLog()
	m.wait = usermodehelper.WaitProc
	m.insmod("insmod mykthread.ko wait=2")
	sh.Type("echo 6 > /proc/myevent")
	m.post(6)
	m.cpu.Yield() // until the thread waits for its helper
	sh.Type("echo 7 > /proc/myevent")
	m.post(7)
	err1 := m.served()
	sh.ShowLog()
	sh.Ps(m.thread)
	sh.Type("echo w > /proc/myevent")
	m.strayWakeUp()
	err2 := m.served()
	sh.ShowLog()
	return cmp.Or(err1, err2, m.rmmod())
}

func (m *module) insmod(command string) {
	m.shell.Type(command)
	m.load()
	m.shell.Register(m.shell.Helper())
}

func (m *module) rmmod() error {
	m.shell.Type("rmmod mykthread")
	m.cpu.Unlock()
	return m.thread.Stop()
}

// served waits until one helper has ended and the thread sleeps again. The
// thread has the CPU when it reports, and keeps it until it sleeps.
func (m *module) served() (err error) {
	m.cpu.Sleep(func() { err = cmp.Or(<-m.returned, <-m.ended) })
	return err
}
