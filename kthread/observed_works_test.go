//go:build !mutant

package kthread_test

import (
	"slices"
	"strings"
)

// stoppedWorker is about a worker that takes works there after its stop.
func (c *comparison) stoppedWorker(m mismatch) bool {
	if !c.after("wstop", m.step) {
		return false
	}
	return m.kind == "result" && m.want == "1" && m.got == "0" &&
		slices.Contains([]string{"wq", "wdq", "wdmod", "wpending", "wcancel", "wdcancel"}, m.op[0]) ||
		c.hangs(m, "wflush", "wflushall", "wdestroy", "wstop")
}

// twoWorkers is about all that comes of the work after the panic.
func (c *comparison) twoWorkers(m mismatch) bool {
	for _, s := range c.playedTo(m.step) {
		if slices.ContainsFunc(s.log, func(e event) bool { return strings.Contains(e.ret, "with one worker or workqueue only") }) {
			return m.kind != "time" && (c.isWorker(m.actor) || c.ofWork(m))
		}
	}
	return false
}

// ofWork reports whether m is about a call that has to do with a work.
func (c *comparison) ofWork(m mismatch) bool {
	call := func(text string) bool { return strings.HasPrefix(text, "w") && !strings.HasPrefix(text, "wa") }
	switch m.kind {
	case "result":
		return call(m.op[0]) || m.op[0] == "runs"
	case "state":
		_, op, _ := strings.Cut(m.got, " in ")
		return call(op) || call(c.doing(m.actor, m.step))
	case "missing", "extra":
		return call(m.op[0]) && m.actor != "."
	}
	return m.kind == "stuck" && call(c.doing(m.actor, m.step))
}

// parkedWorker is about a worker that is parked here, and so runs no work.
func (c *comparison) parkedWorker(m mismatch) bool {
	if !c.after("wpark", m.step) {
		return false
	}
	switch m.kind {
	case "missing":
		return c.isWorker(m.actor)
	case "result":
		return m.is("wstate") && strings.HasPrefix(m.got, "P ") || m.is("runs") || m.is("wpending")
	}
	return c.hangs(m, "wpark")
}

// waitsForItself is about a work that waits for its own worker, which hangs there.
func (c *comparison) waitsForItself(m mismatch) bool {
	hung := ""
	for _, s := range c.playedTo(m.step) {
		for _, e := range s.log {
			if e.ret == "-35" && c.isWorker(e.by) {
				hung = e.by
			}
		}
	}
	return hung != "" && (m.actor == hung || m.kind == "result" && strings.HasPrefix(m.op[0], "w") ||
		m.kind == "result" && m.op[0] == "runs" || c.hangs(m, "wflush", "wflushall", "wcancel", "wdcancel", "wdestroy", "wstop"))
}

func (c *comparison) isWorker(name string) bool {
	return len(name) > 1 && strings.HasPrefix(name, "W")
}

// flushOfArmed is about a delayed work that a flush runs here, while the flush hangs
// there.
func (c *comparison) flushOfArmed(m mismatch) bool {
	flushed := ""
	for _, f := range c.found {
		if f.kind == "extra" && f.is("wflush") && f.step <= m.step && slices.Contains(c.Stuck, f.actor) {
			flushed = f.op[1]
		}
	}
	if !strings.HasPrefix(flushed, "d") {
		return false
	}
	switch m.kind {
	case "missing", "extra":
		if m.is("work") {
			return m.op[1] == flushed
		}
	case "result":
		return slices.Contains([]string{"runs", "wpending", "wdcancel", "wdq", "wdmod"}, m.op[0]) && slices.Contains(m.op[1:], flushed)
	}
	return c.hangs(m, "wflush")
}
