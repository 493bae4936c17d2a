package usermodehelper

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// A Gate decides which helpers may start, and when. It concerns the helpers that
// name it in their field Gate. The zero value lets every helper through. Many
// goroutines may call its methods at once. A Gate must not be copied after first
// use, and its fields must not be changed then. If Max, Burst or Interval is negative,
// every call gets [syscall.EINVAL].
//
// A helper that may not pass yet waits. Waiting helpers pass in the order of their
// calls. The end of a helper's ctx ends its wait, and so does an Interrupt of the task of
// ctx, see [waitqueue.TaskOf]. [errors.Is] tells three errors apart:
//
//   - Too many wait already: [syscall.ENOBUFS].
//   - ctx ended while the helper waited: [syscall.ECANCELED], and also
//     [syscall.ETIMEDOUT] or [syscall.EINTR].
//   - The helper ran too long: ETIMEDOUT without ECANCELED.
//
// Kernel: usermodehelper_disabled, CONFIG_STATIC_USERMODEHELPER, kmod_concurrent_max
//
// Differs: each Gate is its own, where the kernel has one.
//
// Differs: CONFIG_STATIC_USERMODEHELPER: the list refuses a program, where the kernel runs another in its place.
type Gate struct {
	// Max is how many helpers may run at once; 0 means any number. If all places
	// are taken, the next helper waits for a place.
	Max int

	// Queue is how many helpers may wait; 0 means any number, and a negative Queue
	// means none. If so many wait already, a helper that would have to wait gets
	// [syscall.ENOBUFS] at once, in every mode.
	Queue int

	// Burst is how many helpers may pass within Interval; 0 counts as 1. The helper
	// after them waits until Interval has passed since the first of them passed.
	//
	// A helper counts from the moment at which it passes the gate, right before its
	// Init. It counts even if its start then fails.
	Burst int

	// Interval is the length of time in which Burst helpers may pass. 0 means that
	// Burst does not count.
	Interval time.Duration

	// Allow, if not nil, lists the programs that may run. A Path must be equal
	// to one of the strings. The list protects a path, not the file there: every
	// user with write access to the file or to a directory above it can replace
	// the program.
	Allow []string

	mu       sync.Mutex
	running  int      // helpers that hold one of Max places; guarded by mu
	waiting  []*visit // to pass; guarded by mu. Invariant: if there is one, no newcomer passes
	present  []*visit // that are not over, in the order of their numbers; guarded by mu
	joined   uint64   // the number of the last visit; guarded by mu
	pending  int      // helpers that have passed and are not over; guarded by mu
	disabled int      // calls of Disable that are in force; guarded by mu
	enables  int      // how often Enable was called; guarded by mu

	rate  rate
	timer *time.Timer // calls tick when the rate lets a waiter pass, or nil; guarded by mu

	drained waitqueue.Queue // of the calls of Disable and Wait
}

var errDisabled = fmt.Errorf("helpers are disabled: %w", syscall.EBUSY)

// A visit is the way of one helper through a Gate: it joins, it may wait, it passes
// and leaves, and then it is over.
type visit struct {
	number uint64 // counts the calls; it never changes
	passed bool   // guarded by the gate's mu
	err    error  // why it does not pass, or nil; guarded by the gate's mu
	holds  int    // calls of over that are still to come; guarded by the gate's mu
	queue  waitqueue.Queue
}

// Disable refuses new helpers and helpers that wait for a place: they get
// [syscall.EBUSY]. Then it waits until the helpers that have passed the gate are
// over, with their Cleanups. When it returns nil, none runs, no member of a group
// that was ended is alive, and no helper starts until Enable is called. Daemons
// that a helper has left behind do not count.
//
// If ctx ends first, or Enable is called meanwhile, Disable returns an error that
// matches [syscall.EAGAIN]. Then this call no longer counts, and the gate is enabled
// if no other Disable is in force. If no helper runs, Disable returns nil even if
// ctx has ended. A nil ctx gives [syscall.EINVAL].
//
// Do not call Disable in Init, Started or Cleanup of a helper that has passed the
// gate: it would wait for itself.
//
// Kernel: usermodehelper_disable
//
// Differs: waits until all helpers have ended, where the kernel waits until all calls have returned. ctx limits the wait, where the kernel waits for five seconds.
func (g *Gate) Disable(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("usermodehelper: Disable: the context is nil: %w", syscall.EINVAL)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disabled++
	enables := g.enables
	for _, v := range g.waiting {
		v.err = errDisabled
		v.queue.WakeUp()
	}
	g.waiting = nil
	g.setTimer(time.Now())
	err := g.drained.WaitLocked(ctx, &g.mu, func() bool { return g.pending == 0 || g.enables != enables })
	switch {
	case g.enables != enables: // Enable has withdrawn this call
		return fmt.Errorf("usermodehelper: the gate was enabled again: %w", syscall.EAGAIN)
	case err != nil:
		g.disabled--
		return interrupted(ctx, syscall.EAGAIN, "helpers not over yet: %d", g.pending)
	}
	return nil
}

// Enable lets helpers start again, however often Disable was called.
//
// Kernel: usermodehelper_enable
func (g *Gate) Enable() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disabled = 0
	g.enables++
	g.drained.WakeUpAll()
}

// Wait waits until the helpers that have come to the gate before this call are over,
// with their Cleanups. It counts the helpers that run and the helpers that wait. It
// does not wait for newcomers, and does not hold them up. Daemons that a helper has
// left behind do not count. A member of a group that outlives SIGKILL counts, as for
// Disable.
//
// If ctx ends first, Wait returns an error that matches [syscall.EINTR] or
// [syscall.ETIMEDOUT], and the cause of ctx. If there is no helper to wait for, Wait
// returns nil even if ctx has ended. A nil ctx gives [syscall.EINVAL].
//
// Before your program exits, call Wait with a ctx that has not ended. If SIGTERM ends
// the ctx of the helpers, they still have Grace, and a Wait with the same ctx would
// not wait for them. Do not call Wait in Init, Started or Cleanup of a helper of this
// gate: it would wait for itself.
func (g *Gate) Wait(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("usermodehelper: Wait: the context is nil: %w", syscall.EINVAL)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	last := g.joined
	err := g.drained.WaitLocked(ctx, &g.mu, func() bool { return g.presentUpTo(last) == 0 })
	if err != nil {
		return interrupted(ctx, nil, "helpers not over yet: %d", g.presentUpTo(last))
	}
	return nil
}

// presentUpTo returns how many visits are not over, up to this number. The caller
// holds mu, here and below.
func (g *Gate) presentUpTo(number uint64) int {
	n, _ := slices.BinarySearchFunc(g.present, number+1, func(v *visit, n uint64) int { return cmp.Compare(v.number, n) })
	return n
}

// join passes the gate, or takes a position among the helpers that wait: await is
// the wait. A nil gate, here and below, is no gate.
func (g *Gate) join(path string) (*visit, error) {
	if g == nil {
		return nil, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.refusal(path); err != nil {
		return nil, err
	}
	g.joined++
	v := &visit{number: g.joined, holds: 1}
	g.present = append(g.present, v)
	g.waiting = append(g.waiting, v)
	g.admit()
	return v, nil
}

// refusal reports why a helper may not even wait.
func (g *Gate) refusal(path string) error {
	switch {
	case g.Max < 0:
		return fmt.Errorf("usermodehelper: %s was not started: the gate's Max is negative: %d: %w", path, g.Max, syscall.EINVAL)
	case g.Burst < 0 || g.Interval < 0:
		return fmt.Errorf("usermodehelper: %s was not started: the gate's Burst or Interval is negative: %d, %v: %w",
			path, g.Burst, g.Interval, syscall.EINVAL)
	case g.disabled > 0:
		return fmt.Errorf("usermodehelper: %s was not started: %w", path, errDisabled)
	case g.Allow != nil && !slices.Contains(g.Allow, path):
		return fmt.Errorf("usermodehelper: %s is not on the list of programs: %w", path, syscall.EPERM)
	case g.queueIsFull() && !g.letsPass():
		return fmt.Errorf("usermodehelper: %s was not started: %s, and %d helpers wait: %w", path, g.obstacle(), len(g.waiting), syscall.ENOBUFS)
	}
	return nil
}

func (g *Gate) queueIsFull() bool {
	return g.Queue < 0 || g.Queue > 0 && len(g.waiting) >= g.Queue
}

// letsPass reports whether the next helper may pass now. It can be true while helpers wait,
// because the timer may be late. Then the queue only seems full: join calls admit.
func (g *Gate) letsPass() bool { return g.hasPlace() && g.pause(time.Now()) == 0 }

func (g *Gate) hasPlace() bool { return g.Max == 0 || g.running < g.Max }

// obstacle says why helpers wait.
func (g *Gate) obstacle() string {
	if g.hasPlace() {
		return fmt.Sprintf("%d may start within %v", max(g.Burst, 1), g.Interval)
	}
	return fmt.Sprintf("all %d places are taken", g.Max)
}

// admit lets helpers pass, in the order of their calls, as far as the places and the
// rate go.
func (g *Gate) admit() {
	now := time.Now()
	for len(g.waiting) > 0 && g.hasPlace() && g.pause(now) == 0 {
		v := g.waiting[0]
		g.waiting = slices.Delete(g.waiting, 0, 1)
		g.rate.note(now, g.Burst, g.Interval)
		g.running++
		g.pending++ // on behalf of v: a Disable that comes before v runs must wait for it
		v.passed = true
		v.queue.WakeUp()
	}
	g.setTimer(now)
}

// await waits until v may pass.
func (g *Gate) await(ctx context.Context, v *visit, path string) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := v.queue.WaitLocked(ctx, &g.mu, func() bool { return v.passed || v.err != nil })
	if err != nil {
		i := slices.Index(g.waiting, v)
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.setTimer(time.Now())
		return interrupted(ctx, syscall.ECANCELED, "%s was not started: %s", path, g.obstacle())
	}
	if v.err != nil {
		return fmt.Errorf("usermodehelper: %s was not started: %w", path, v.err)
	}
	return nil
}

// leave gives the place back, or to the first waiter. It comes before Cleanup, because
// Cleanup may start the next helper.
func (g *Gate) leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.admit()
}

// keep makes Disable and Wait wait for one more call of over. v has passed.
func (g *Gate) keep(v *visit) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending++
	v.holds++
}

// over says that a helper is over, after its Cleanup. It may have been refused while
// it waited.
func (g *Gate) over(v *visit) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.passed {
		g.pending--
	}
	v.holds--
	if v.holds == 0 {
		i := g.presentUpTo(v.number) - 1
		g.present = slices.Delete(g.present, i, i+1)
	}
	if g.pending == 0 || g.presentUpTo(v.number) == 0 {
		g.drained.WakeUpAll()
	}
}
