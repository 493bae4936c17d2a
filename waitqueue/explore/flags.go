package explore

import (
	"flag"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The flags exist in a test only: a program that uses the package has its own.
var (
	flagReplay = new(string)
	flagBound  = new(int)
	flagPoints = new(string)
	flagFirst  = new(bool)
)

func init() {
	if !testing.Testing() {
		return
	}
	flag.StringVar(flagReplay, "explore.replay", "", "run this `order` only, which a failed test has printed, and show it (2:1.2 is for the second search of a test)")
	flag.IntVar(flagBound, "explore.preemptions", 0, "bound the preemptions of an order to `n`; counts are not checked")
	flag.StringVar(flagPoints, "explore.points", "", "stop at these `points` too, with commas between them; counts are not checked")
	flag.BoolVar(flagFirst, "explore.first", false, "show the first bad order of a model, and do not look for a simpler one")
}

// flagged reports whether the flags change how many orders there are.
func flagged() bool { return *flagBound > 0 || *flagPoints != "" }

func splitFlag(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// searches has the number of searches, by test.
var searches sync.Map

// nthSearch counts the searches of a test. It returns 1 for the first.
func nthSearch(t *testing.T) int {
	n, others := searches.LoadOrStore(t, new(atomic.Int32))
	if !others {
		t.Cleanup(func() { searches.Delete(t) })
	}
	return int(n.(*atomic.Int32).Add(1))
}

// replayOf returns the order that the flag names for a search of a test, or "".
func replayOf(nth int) string {
	search, order, found := strings.Cut(*flagReplay, ":")
	n, err := strconv.Atoi(search)
	switch {
	case !found || err != nil:
		return *flagReplay
	case n == nth:
		return order
	}
	return ""
}

// replayOfFlag runs and shows the order that the flag names, if it names one of this search.
func (e *explorer) replayOfFlag(t *testing.T) *Order {
	t.Helper()
	order := replayOf(e.nth)
	if order == "" {
		return nil
	}
	o, err := e.replay(order)
	t.Logf("\n%s", o)
	if err != nil {
		t.Fatal(err)
	}
	return &o
}
