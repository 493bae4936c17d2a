//go:build !mutant

package kthread_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A mismatch is one thing that was otherwise in the kernel. The kind says which
// thing, and which of the fields count.
type mismatch struct {
	kind  string // result, evals, time, missing, extra, state, stuck, fault
	step  int    // from 0
	actor string
	op    []string // the op, or the text of the event, as words
	want  string
	got   string
	ret   string // the result of the op here
}

// is reports whether m is about an op, or a line, that begins with this word.
func (m mismatch) is(word string) bool { return len(m.op) > 0 && m.op[0] == word }

func (m mismatch) String() string {
	return fmt.Sprintf("step %d, %s, %s of %q: want %q, got %q", m.step+1, m.actor, m.kind, strings.Join(m.op, " "), m.want, m.got)
}

// A comparison is a case with its outcome here.
type comparison struct {
	observedCase
	played []playedStep
	stuck  []string
	found  []mismatch
}

// compare returns all mismatches.
func (c observedCase) compare(played []playedStep, stuck, faults []string) *comparison {
	cmp := &comparison{observedCase: c, played: played, stuck: stuck}
	for _, f := range faults {
		cmp.found = append(cmp.found, mismatch{kind: "fault", got: f})
	}
	for i := range played { // fewer than the steps after a fault
		before := len(cmp.found)
		cmp.compareLogs(i)
		cmp.compareStates(i)
		if len(cmp.found) > before && cmp.orderIsOpen() && cmp.sameAsSets(i) {
			cmp.found = cmp.found[:before]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cmp.everStuck())) {
		want, got := slices.Contains(c.Stuck, name), slices.Contains(stuck, name)
		if want != got {
			cmp.add(mismatch{kind: "stuck", step: len(c.Steps) - 1, actor: name, want: fmt.Sprint(want), got: fmt.Sprint(got)})
		}
	}
	return cmp
}

func (c *comparison) add(m mismatch) { c.found = append(c.found, m) }

func (c *comparison) everStuck() map[string]bool {
	all := map[string]bool{}
	for _, name := range slices.Concat(c.Stuck, c.stuck) {
		all[name] = true
	}
	return all
}

// depends reports whether the case depends on something of this kind.
func (c observedCase) depends(kind string) bool {
	for _, d := range c.Depends {
		if strings.HasPrefix(d.Kind, kind) {
			return true
		}
	}
	return false
}

// byActor returns the events of each actor, in order. How the lines of different
// actors lie to each other in a step is the scheduler's business.
func byActor(events []event) map[string][]event {
	lines := map[string][]event{}
	for _, e := range events {
		lines[e.by] = append(lines[e.by], e)
	}
	return lines
}

// observed returns the log of a step in the kernel.
func (c observedCase) observed(step int) (events []event) {
	actor, _, _ := strings.Cut(c.Steps[step].Step, " ")
	for _, e := range c.Steps[step].Log {
		events = append(events, e.event(actor))
	}
	return events
}

func (c *comparison) compareLogs(step int) {
	want, got := byActor(c.observed(step)), byActor(c.played[step].log)
	actors := map[string]bool{}
	for name := range want {
		actors[name] = true
	}
	for name := range got {
		actors[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(actors)) {
		c.compareLines(step, name, want[name], got[name])
	}
}

// compareLines compares the lines of one actor. If the other list has a line
// later, the lines before it are missing or extra.
func (c *comparison) compareLines(step int, actor string, want, got []event) {
	line := func(kind string, e event) {
		c.add(mismatch{kind: kind, step: step, actor: actor, op: strings.Fields(e.text), got: e.ret})
	}
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(want) > 0 && len(got) > 0 && want[0].text == got[0].text:
			c.compareEvents(step, actor, want[0], got[0])
			want, got = want[1:], got[1:]
		case len(got) > 0 && !slices.ContainsFunc(want, func(e event) bool { return e.text == got[0].text }):
			line("extra", got[0])
			got = got[1:]
		case len(want) > 0:
			line("missing", want[0])
			want = want[1:]
		default:
			line("extra", got[0])
			got = got[1:]
		}
	}
}

func (c *comparison) compareEvents(step int, actor string, want, got event) {
	m := mismatch{step: step, actor: actor, op: strings.Fields(got.text), ret: got.ret}
	if want.ret != got.ret && !(c.depends("tick") && tells(m.op[0]) && oneApart(want.ret, got.ret)) {
		m.kind, m.want, m.got = "result", want.ret, got.ret
		c.add(m)
	}
	if want.evals != got.evals && !c.depends("evaluation") {
		m.kind, m.want, m.got = "evals", fmt.Sprint(want.evals), fmt.Sprint(got.evals)
		c.add(m)
	}
	most := 0
	if c.depends("tick") {
		most = 1
	}
	if want.t-got.t > most || got.t-want.t > most {
		m.kind, m.want, m.got = "time", fmt.Sprint(want.t), fmt.Sprint(got.t)
		c.add(m)
	}
}

// tells reports whether an op returns a time left.
func tells(op string) bool {
	return slices.ContainsFunc([]string{"sched", "wait", "wc", "msleep", "woken"}, func(s string) bool { return strings.HasPrefix(op, s) })
}

// oneApart reports whether both are times left, and differ by a tick.
func oneApart(want, got string) bool {
	a, err := strconv.Atoi(want)
	b, err2 := strconv.Atoi(got)
	return err == nil && err2 == nil && a >= 0 && b >= 0 && max(a-b, b-a) == 1
}

func (c *comparison) compareStates(step int) {
	want, got := c.Steps[step].Now, c.played[step].now
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if want[name] != got[name] && !sameHandshake(want[name], got[name]) {
			_, op, _ := strings.Cut(want[name], " in ")
			c.add(mismatch{kind: "state", step: step, actor: name, op: strings.Fields(op), want: want[name], got: got[name]})
		}
	}
}

// sameHandshake reports whether both are in the same op, and ours sleeps in a
// handshake, where the state of a thread does not show. See translations.
func sameHandshake(want, got string) bool {
	op, ok := strings.CutPrefix(got, "? in ")
	return ok && want == "D 0x2 in "+op && handshakes[strings.Fields(op)[0]]
}

var handshakes = map[string]bool{
	"stop": true, "stopput": true, "park": true, "wflush": true, "wflushall": true, "wcancel": true, "wdcancel": true,
	"wdestroy": true, "wstop": true, "wpark": true,
}

// orderIsOpen reports whether the order in which the woken ran is left open.
func (c observedCase) orderIsOpen() bool { return c.depends("run order") || c.depends("real time") }

// sameAsSets compares a step without the names of the actors: another one may have
// had the luck. The runner's lines and the calls stay as they are.
func (c *comparison) sameAsSets(step int) bool {
	return slices.Equal(anonymous(c.observed(step), c.Steps[step].Now), anonymous(c.played[step].log, c.played[step].now))
}

// anonymous returns all that each actor did, in order, and its state. Only the
// flags of the entries of a queue count.
func anonymous(events []event, now map[string]string) (lives []string) {
	lines := map[string]string{}
	for name, state := range now {
		lines[name] = state
	}
	for _, e := range events {
		text := e.text
		if strings.HasPrefix(text, "queue ") {
			text = entryName.ReplaceAllString(text, "/")
		}
		lines[e.by] += fmt.Sprintf("\n%s = %s, %d tests, at %d", text, e.ret, e.evals, e.t)
	}
	for name, life := range lines {
		if len(name) != 1 || name == "." {
			life = name + life
		}
		lives = append(lives, life)
	}
	slices.Sort(lives)
	return lives
}

var entryName = regexp.MustCompile(`\w+/`)
