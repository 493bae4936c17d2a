package usermodehelper

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

// A Gate decides which helpers may start, and when. It concerns the helpers that
// name it in their field Gate. The zero value lets every helper through. Many
// goroutines may call its methods at once. A Gate must not be copied after first
// use, and its fields must not be changed then.
//
// Kernel: usermodehelper_disabled, CONFIG_STATIC_USERMODEHELPER, kmod_concurrent_max
//
// Differs: each Gate is its own, where the kernel has one.
//
// Differs: CONFIG_STATIC_USERMODEHELPER: the list refuses a program, where the kernel runs another in its place.
type Gate struct {
	// Max is how many helpers may run at once; 0 means any number. If all places
	// are taken, the next helper waits for a place or for the end of its ctx.
	// Waiting helpers get places in the order of their calls. If Max is negative,
	// every call gets [syscall.EINVAL].
	Max int

	// Allow, if not nil, lists the programs that may run. A Path must be equal
	// to one of the strings. The list protects a path, not the file there: every
	// user with write access to the file or to a directory above it can replace
	// the program.
	Allow []string

	mu       sync.Mutex
	running  int       // helpers that hold one of Max places; guarded by mu
	waiting  []*waiter // for a place; guarded by mu. Invariant: if there is one, running is Max
	pending  int       // helpers that have passed and are not over; guarded by mu
	disabled int       // calls of Disable that are in force; guarded by mu
	enables  int       // how often Enable was called; guarded by mu

	drained waitqueue.Queue // of the calls of Disable that wait until pending is 0
}

var errDisabled = fmt.Errorf("helpers are disabled: %w", syscall.EBUSY)

// A waiter waits for a place at a Gate.
type waiter struct {
	told  bool  // its wait is over; guarded by the gate's mu
	err   error // why it gets no place, or nil if it has one; guarded by the gate's mu
	queue waitqueue.Queue
}

func (w *waiter) tell(err error) {
	w.told, w.err = true, err
	w.queue.WakeUp()
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
// Differs: waits for all helpers until they have ended, where the kernel waits for calls that have not returned; for as long as ctx says, not for five seconds.
func (g *Gate) Disable(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("usermodehelper: Disable: the context is nil: %w", syscall.EINVAL)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disabled++
	enables := g.enables
	for _, w := range g.waiting {
		w.tell(errDisabled)
	}
	g.waiting = nil
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

// join takes a place, or a position among the helpers that wait for one: await is
// the wait. A nil gate, here and below, is no gate.
func (g *Gate) join(path string) (*waiter, error) {
	if g == nil {
		return nil, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.refusal(path); err != nil {
		return nil, err
	}
	w := new(waiter)
	if g.Max > 0 && g.running >= g.Max {
		g.waiting = append(g.waiting, w)
		return w, nil
	}
	g.running++
	g.pending++
	w.told = true
	return w, nil
}

// refusal reports why a helper may not even wait for a place. The caller holds
// mu.
func (g *Gate) refusal(path string) error {
	switch {
	case g.Max < 0:
		return fmt.Errorf("usermodehelper: %s was not started: the gate's Max is negative: %d: %w", path, g.Max, syscall.EINVAL)
	case g.disabled > 0:
		return fmt.Errorf("usermodehelper: %s was not started: %w", path, errDisabled)
	case g.Allow != nil && !slices.Contains(g.Allow, path):
		return fmt.Errorf("usermodehelper: %s is not on the list of programs: %w", path, syscall.EPERM)
	}
	return nil
}

// await waits until a helper that leaves hands its place to w. A newcomer cannot
// take the place on the way, because it is never free.
func (g *Gate) await(ctx context.Context, w *waiter, path string) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := w.queue.WaitLocked(ctx, &g.mu, func() bool { return w.told })
	if err != nil {
		i := slices.Index(g.waiting, w)
		g.waiting = slices.Delete(g.waiting, i, i+1)
		return interrupted(ctx, syscall.ECANCELED, "%s was not started: all %d places are taken", path, g.Max)
	}
	if w.err != nil {
		return fmt.Errorf("usermodehelper: %s was not started: %w", path, w.err)
	}
	return nil
}

// leave gives the place to the first waiter, or back. It comes before Cleanup,
// because Cleanup may start the next helper.
func (g *Gate) leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.running--
		return
	}
	w := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	g.pending++ // on behalf of w: a Disable that comes before w runs must wait for it
	w.tell(nil)
}

// keep makes Disable wait for one more call of over.
func (g *Gate) keep() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending++
}

// over says that a helper is over, after its Cleanup.
func (g *Gate) over() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending--
	if g.pending == 0 {
		g.drained.WakeUpAll()
	}
}
