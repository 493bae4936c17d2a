package explore

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Order is one order of the steps of a model.
type Order struct {
	Steps       []string // "name: point", or the name of an Event, in the order in which they were made
	Numbers     []int    // of the goroutines that made the Steps: from 1, in the order in which they were added
	Preemptions int      // switches from a goroutine that could have gone on
	Fault       string   // why the order is bad, or ""
	Replay      string   // for [Search.Replay] and -explore.replay: the Numbers as text; 2x9 is nine times 2

	made []move // the steps, for tell
}

// A move is a step of a thread. The step of an Event has no point.
type move struct {
	number      int
	name, point string
}

func (m move) String() string {
	if m.point == "" {
		return m.name
	}
	return m.name + ": " + m.point
}

const (
	anotherCourse = "an order that is repeated takes another course"
	noEnd         = "there is no end to it"
	testFailed    = "the model has failed the test, as t.Error does"
)

// endsSearch reports whether no order can be searched for after this fault. A test that has
// failed does not show whether a later order fails it again.
func endsSearch(fault string) bool { return fault == noEnd || fault == testFailed }

// badOrder is in the output of each Test that fails by an order.
const badOrder = "a bad order"

// String shows the order as numbered lines, then its fault, then how to replay it.
func (o Order) String() string {
	text := o.lines()
	if o.Fault != "" {
		text += o.Fault + "\n"
	}
	if o.Replay != "" {
		text += "replay " + o.Replay + "\n"
	}
	return text
}

// lines shows the steps. Of a long order it shows the beginning and the end.
func (o Order) lines() string {
	const many, head, tail = 60, 40, 10
	var text strings.Builder
	for i, step := range o.Steps {
		switch left := len(o.Steps) - i; {
		case len(o.Steps) <= many || i < head || left <= tail:
			fmt.Fprintf(&text, "%4d  %s\n", i+1, step)
		case i == head:
			fmt.Fprintf(&text, "      and so on, %d steps\n", left-tail)
		}
	}
	return text.String()
}

// add notes a step.
func (o *Order) add(th *Thread, s scene) {
	o.made = append(o.made, th.move())
	if th != s.last && s.canGoOn() {
		o.Preemptions++
	}
}

// tell sets Steps, Numbers and Replay.
//
// Optimization: a search does without them in an order that is good, unless it has an Each.
func (o *Order) tell() {
	for _, m := range o.made {
		o.Steps = append(o.Steps, m.String())
		o.Numbers = append(o.Numbers, m.number)
	}
	o.Replay = written(o.Numbers)
}

// simpler reports whether the order is better to look at than another.
func (o Order) simpler(than *Order) bool {
	switch {
	case than == nil:
		return true
	case o.Preemptions != than.Preemptions:
		return o.Preemptions < than.Preemptions
	}
	return len(o.Steps) < len(than.Steps)
}

// alone is the result of a search that has run this order only.
func (o Order) alone() (r Result) {
	r.add(o, 0)
	return r
}

// written returns the numbers as text, for example 1.2.2.1 or 1.2x500.
func written(numbers []int) string {
	const long = 4
	var parts []string
	for len(numbers) > 0 {
		n, run := numbers[0], 1
		for run < len(numbers) && numbers[run] == n {
			run++
		}
		if run < long {
			run = 1
			parts = append(parts, strconv.Itoa(n))
		} else {
			parts = append(parts, fmt.Sprint(n, "x", run))
		}
		numbers = numbers[run:]
	}
	return strings.Join(parts, ".")
}

// parse is the inverse of written.
func parse(replay string) (numbers []int, err error) {
	for part := range strings.SplitSeq(replay, ".") {
		number, times, repeats := strings.Cut(part, "x")
		if !repeats {
			times = "1"
		}
		n, errN := strconv.Atoi(number)
		run, errRun := strconv.Atoi(times)
		switch {
		case errN != nil || errRun != nil || n < 1 || run < 1:
			return nil, fmt.Errorf("explore: the order %q is not numbers with points between them, as 1.2.2.1 is", replay)
		case run > tooLong-len(numbers):
			return nil, fmt.Errorf("explore: the order %q has more than %d steps", replay, tooLong)
		}
		numbers = append(numbers, slices.Repeat([]int{n}, run)...)
	}
	return numbers, nil
}

// String says how many orders there were, and shows the simplest bad one.
func (r Result) String() string {
	text := r.count()
	if r.Simplest == nil {
		return text + "\n"
	}
	return text + ", the simplest:\n" + r.Simplest.String()
}

func (r Result) count() string {
	text := fmt.Sprintf("%s, %d bad", plural(r.Orders, "order"), r.Bad)
	if r.LeftOut > 0 {
		text += fmt.Sprintf(", %s left out", plural(r.LeftOut, "choice"))
	}
	return text
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// counted returns the line that a test logs. It says of a full search that it is one.
func (e *explorer) counted(r Result) string {
	text := r.count()
	if e.ended && r.LeftOut == 0 {
		text += ", none left out"
	}
	if e.bound != none {
		text += ", at most " + plural(e.bound, "preemption")
	}
	return fmt.Sprintf("%s, %v", text, time.Since(e.began).Round(time.Millisecond))
}

// report is the failure of a test that has a bad order.
func (e *explorer) report(r Result, test string) string {
	o, which := e.simplest(r.Simplest)
	return fmt.Sprintf("%s, after %d good; %s has %s and %s:\n%s%s\nreplay it: %s",
		badOrder, r.Orders-r.Bad, which, plural(o.Preemptions, "preemption"), plural(len(o.Steps), "step"),
		o.lines(), o.Fault, e.command(o, test))
}

// command returns a shell command that runs the order again. An order without a step is the only one.
func (e *explorer) command(o *Order, test string) string {
	text := "go test -run " + quoted(pattern(test))
	if o.Replay != "" {
		text += " -explore.replay "
		if e.nth > 1 {
			text += fmt.Sprint(e.nth, ":")
		}
		text += o.Replay
	}
	if *flagPoints != "" {
		text += " -explore.points " + quoted(*flagPoints)
	}
	return text
}

// quoted is a word for a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// pattern returns the pattern with which -run runs one test.
func pattern(test string) string {
	parts := strings.Split(test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
