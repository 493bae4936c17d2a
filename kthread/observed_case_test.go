//go:build !mutant

package kthread_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/point"
)

// An observedCase is a script, and its outcome in a kernel.
type observedCase struct {
	ID, Group, Note string
	Depends         []struct{ Kind, Text string }
	Steps           []observedStep
	Stuck           []string

	onQueues bool // its works run on workqueues
}

// An observedStep is one step of a script, its log, and the actors after it.
type observedStep struct {
	Step string
	Log  []observedEvent
	Now  map[string]string
}

// An observedEvent is a line of the log. Which fields it has says of which kind it
// is.
type observedEvent struct {
	By, Op     string
	Ret        json.RawMessage
	Evals      *int
	T          int
	Call, Mode string
	Key        int
	Queue      string
	HeadToTail []struct{ Entry, Flags string } `json:"head_to_tail"`
	Fn         string
	With       *int
	Work, At   string
	Run        int
	Error      string
	LockHeld   *bool `json:"lock_held_after"`
}

// event returns the line as a world logs it. actor is the one of the step.
func (o observedEvent) event(actor string) event {
	e := event{by: o.By, text: o.Op, ret: text(o.Ret), evals: -1, t: o.T}
	if o.Evals != nil {
		e.evals = *o.Evals
	}
	switch {
	case o.Call != "":
		e.by, e.text = "call", fmt.Sprintf("%s mode %s key %d", o.Call, o.Mode, o.Key)
	case o.Queue != "":
		var parts []string
		for _, h := range o.HeadToTail {
			parts = append(parts, h.Entry+"/"+h.Flags)
		}
		e.by, e.t, e.text = actor, -1, strings.TrimSpace("queue "+o.Queue+": "+strings.Join(parts, " "))
	case o.Fn != "":
		e.text = "fn " + o.Fn
		if o.With != nil {
			e.text += fmt.Sprint(" ", *o.With)
		}
	case o.Work != "":
		e.text = fmt.Sprintf("work %s run %d %s", o.Work, o.Run, o.At)
	case o.Error != "" && o.Op == "":
		e.t, e.text = -1, "error: "+o.Error
	case o.LockHeld != nil:
		e.by, e.t, e.text = "lock", -1, fmt.Sprint("lock held after: ", *o.LockHeld)
	}
	return e
}

// text returns a result, which is a number or a string.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// readCases returns the cases of a file, and the version of the kernel.
func readCases(t *testing.T, file string) (kernel string, cases []observedCase) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		r, err = gzip.NewReader(f)
		require.NoError(t, err)
	}
	lines := json.NewDecoder(bufio.NewReader(r))
	var first struct{ Meta struct{ Kernel string } }
	require.NoError(t, lines.Decode(&first))
	require.NotEmpty(t, first.Meta.Kernel)
	for lines.More() {
		var c observedCase
		require.NoError(t, lines.Decode(&c))
		cases = append(cases, c)
	}
	require.NotEmpty(t, cases)
	return first.Meta.Kernel, cases
}

// run plays the case in a bubble, and returns the steps as they were here.
func (c observedCase) run(t *testing.T) (steps []playedStep, stuck, faults []string) {
	defer point.Hook(nil)
	// A case that takes a minute has no end, which no bubble sees.
	defer time.AfterFunc(time.Minute, func() { panic(c.ID + " has no end") }).Stop()
	// A bubble that is left with sleepers panics.
	defer func() {
		if r := recover(); r != nil {
			faults = append(faults, fmt.Sprint(r))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.onQueues = c.onQueues
		w.cpu.take()
		for _, name := range c.actors() {
			w.actor(name)
		}
		w.cpu.settle()
		w.cpu.take()
		for _, s := range c.Steps {
			w.until = s.tickedAt()
			log, now := w.step(s.Step)
			steps = append(steps, playedStep{log, now})
		}
		stuck = w.end()
		w.quit()
		faults = w.faults
	})
	return steps, stuck, faults
}

// tickedAt returns when a tick of the runner was over in the kernel, or 0. A long
// timer has a coarse grain there, so the script alone does not say it.
func (s observedStep) tickedAt() (t int) {
	for _, e := range s.Log {
		if e.By == "." && strings.HasPrefix(e.Op, "tick ") {
			t = e.T
		}
	}
	return t
}

// A playedStep is the outcome of a step here.
type playedStep struct {
	log []event
	now map[string]string
}

// actors returns the actors that the script does not make itself.
func (c observedCase) actors() []string {
	made, used := map[string]bool{}, map[string]bool{}
	for _, op := range c.ops() {
		if op[0] == "create" || op[0] == "createcpu" || op[0] == "run" || op[0] == "user" {
			made[op[1]] = true
		}
	}
	for _, s := range c.Steps {
		actor, _, _ := strings.Cut(s.Step, " ")
		used[actor] = true
		for name := range s.Now {
			used[name] = true
		}
	}
	delete(used, ".")
	return slices.DeleteFunc(slices.Sorted(maps.Keys(used)), func(name string) bool { return made[name] })
}

// ops returns all ops of the script, and the ops of hooks and works.
func (c observedCase) ops() (list [][]string) {
	for _, s := range c.Steps {
		_, rest, _ := strings.Cut(s.Step, " ")
		for op := range strings.SplitSeq(rest, ",") {
			words := strings.Fields(op)
			list = append(list, words)
			if skip, ok := map[string]int{"hook": 3, "wprog": 2, "fnops": 2}[words[0]]; ok {
				for _, inner := range joined(words[skip:]) {
					list = append(list, strings.Fields(inner))
				}
			}
		}
	}
	return list
}
