//go:build !mutant

package kthread_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/internal/view"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// An actor is a thread that does the steps of a script, one at a time.
type actor struct {
	w      *world
	name   string
	made   bool // by the script, which then hears of its start
	thread *kthread.Thread
	cur    *kthread.Current // nil for the runner
	idle   waitqueue.Queue  // where it sleeps between steps
	first  []string         // ops that its function begins with

	begun bool     // its function was called
	step  []string // that it has to do, or nil
	op    string   // that it does now, or ""
	evals int      // of a condition, during op
	quit  atomic.Bool
}

// exitCode is the result of an actor's function.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprint("exit code ", int(c)) }

// an exit ends the function of an actor.
type exit struct {
	code int
	says bool // the function returns, and the log says so
}

// actor makes the actor that a script takes for granted.
func (w *world) actor(name string) {
	a := w.newActor(name, name)
	a.made = false
	a.thread.WakeUp()
}

func (w *world) newActor(name, comm string) *actor {
	a := &actor{w: w, name: name, made: true}
	a.thread = kthread.Create(comm, a.main)
	w.actors[name] = a
	w.all = append(w.all, a)
	return a
}

// main is the function of an actor.
func (a *actor) main(cur *kthread.Current) (err error) {
	a.cur, a.begun = cur, true
	a.w.byGoroutine.Store(goroutine(), a)
	a.w.cpu.enter(goroutine(), a.name, nil)
	if a.made {
		a.w.add(event{by: a.name, text: "fn starts", evals: -1})
	}
	defer func() {
		r := recover()
		end, ok := r.(exit)
		if !ok && r != nil {
			panic(r)
		}
		if end.says {
			a.w.add(event{by: a.name, text: fmt.Sprint("fn returns ", end.code), evals: -1})
		}
		if end.code != 0 {
			err = exitCode(end.code)
		}
	}()
	a.all(a.first)
	for !a.quit.Load() {
		a.sleep(&a.idle, func() bool { return a.step != nil || a.quit.Load() })
		a.all(a.step)
		a.step = nil
	}
	return nil
}

func (a *actor) all(ops []string) {
	for _, op := range ops {
		a.do(op)
	}
}

// sleep is the wait of an actor that has nothing to do, or waits for a gate. No
// signal, no stop and no stray wake-up ends it.
func (a *actor) sleep(q *waitqueue.Queue, over func() bool) {
	task := a.cur.Task()
	e := waitqueue.Entry{Task: task}
	for {
		q.Prepare(&e, waitqueue.Uninterruptible)
		if over() {
			break
		}
		task.Schedule()
	}
	q.Finish(&e)
}

// do does one op, and logs it when it returns.
func (a *actor) do(text string) {
	args := strings.Fields(text)
	run := ops[args[0]]
	if run == nil {
		a.w.faults = append(a.w.faults, "no such op: "+args[0])
		return
	}
	outer, evals := a.op, a.evals
	a.op, a.evals = text, -1
	begin := a.w.now()
	ret := a.attempt(run, args[1:])
	if ret == "left" {
		ret = timeLeft(args, a.w.now()-begin)
	}
	a.op = outer
	a.w.cpu.enter(goroutine(), a.name, nil) // if it has slept elsewhere than on a queue
	e := event{by: a.name, text: text, ret: ret, evals: a.evals}
	a.evals = evals
	if a.name == "." {
		e.evals = -1
	}
	a.w.add(e)
}

// attempt runs an op. If the library panics, the result says so.
func (a *actor) attempt(run op, args []string) (ret string) {
	defer func() {
		r := recover()
		if _, ends := r.(exit); ends {
			panic(r)
		}
		if r != nil {
			ret = fmt.Sprint("panic: ", r)
		}
	}()
	return run(a, args)
}

func (a *actor) gone() bool {
	select {
	case <-a.thread.Done():
		return true
	default:
		return false
	}
}

// now returns the state as the observer writes it.
func (a *actor) now() string {
	switch {
	case a.gone():
		return "gone"
	case !a.begun:
		return stateText(a.thread.Info().State) + " before fn"
	case a.op == "":
		return "idle"
	}
	return a.state() + " in " + a.op
}

// state returns the state of the thread. A wait with a context does not use the
// thread's task, so there the entry has the state. In a sleep that is on no queue,
// it is unknown.
func (a *actor) state() string {
	if s := a.thread.Info().State; s != waitqueue.Running {
		return stateText(s)
	}
	if e, ok := a.w.sleepsWith(a); ok {
		return stateText(waitqueue.State(e.State))
	}
	if handshakes[strings.Fields(a.op)[0]] {
		return "?"
	}
	return stateText(waitqueue.Running)
}

func stateText(s waitqueue.State) string {
	letter, _, _ := strings.Cut(s.String(), "|")
	return fmt.Sprintf("%s %#x", letter, uint32(s))
}

// parseState returns a state or a mask of a script.
func parseState(text string) waitqueue.State {
	names := map[string]waitqueue.State{
		"R": 0, "I": waitqueue.Interruptible, "U": waitqueue.Uninterruptible, "K": 0x102, "L": waitqueue.Idle,
		"N": waitqueue.Normal, "P": waitqueue.Parked, "F": 0x2001,
	}
	if s, ok := names[text]; ok {
		return s
	}
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		panic("no state: " + text)
	}
	return waitqueue.State(n)
}

// A hook runs ops inside an evaluation of a condition.
type hook struct {
	left int // evaluations
	ops  []string
}

// cond returns the condition that has this text.
func (a *actor) cond(text string) func() bool {
	name, more, _ := strings.Cut(text, "+")
	name, takes := strings.CutPrefix(name, "-")
	a.evals = 0
	return func() bool {
		w := a.w
		a.evals++
		if h := w.hooks[name]; h != nil {
			if h.left--; h.left == 0 {
				delete(w.hooks, name)
				a.all(h.ops)
			}
		}
		switch {
		case w.ended:
			return true
		case w.vars[name] > 0:
			if takes {
				w.vars[name]--
			}
			return true
		}
		return more == "stop" && a.cur.ShouldStop() || more == "park" && a.cur.ShouldPark()
	}
}

// task returns the task of the actor that has this name.
func (w *world) task(name string) *waitqueue.Task { return w.actors[name].thread.OwnTask() }

// waited returns the result of a wait.
func waited(err error) string {
	switch {
	case err == nil:
		return "0"
	case errors.Is(err, syscall.EINTR):
		return "-512"
	}
	return err.Error()
}

// timeLeft returns the time left of an op that has slept for some jiffies. See
// translations. If the condition is true on entry, the kernel gives back the time that
// it got, also one below 0.
func timeLeft(args []string, slept int) string {
	last := args[len(args)-1]
	if last == "max" {
		return fmt.Sprint(int64(math.MaxInt64))
	}
	n := number(last)
	if args[0] == "msleepi" { // in milliseconds
		return fmt.Sprint(10 * max(0, (n+9)/10-slept))
	}
	if n < 0 {
		return last
	}
	return fmt.Sprint(max(1, n-slept))
}

// timed returns the result of a wait that the kernel tells the time left of. Here
// it is only known that there was some.
func timed(err error) string {
	switch {
	case err == nil:
		return "left"
	case errors.Is(err, syscall.ETIMEDOUT):
		return "0"
	}
	return waited(err)
}

// hired returns the result of a wait whose timer has a high resolution.
func hired(err error) string {
	if errors.Is(err, syscall.ETIMEDOUT) {
		return "-62"
	}
	return waited(err)
}

// code returns the result of a call with an errno, or of a thread.
func code(err error) string {
	var exit exitCode
	var errno syscall.Errno
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &exit):
		return fmt.Sprint(int(exit))
	case errors.As(err, &errno):
		return fmt.Sprint(-kernelErrno(errno))
	}
	return err.Error()
}

// kernelErrno returns the number that Linux has for an errno.
func kernelErrno(errno syscall.Errno) int {
	return map[syscall.Errno]int{
		syscall.ESRCH: 3, syscall.EINTR: 4, syscall.EBUSY: 16, syscall.EINVAL: 22, syscall.EDEADLK: 35, syscall.ENOSYS: 38,
	}[errno]
}

func truth(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// number returns an argument that is a number.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic("no number: " + text)
	}
	return n
}

// An entry is one that a script has made.
type entry struct {
	*waitqueue.Entry
	kind      string
	exclusive bool // mkx has marked it
	woken     *waitqueue.WokenEntry
}

// state returns the state of an entry that the script has named.
func (e *entry) view() view.Entry { return view.Of(e.Entry) }
