package explore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// counter loses a count if another goroutine comes between read and write.
func counter(m *explore.Model) {
	n := 0
	for _, name := range []string{"A", "B"} {
		m.Go(name, func(th *explore.Thread) {
			th.Step("read")
			seen := n
			th.Step("write")
			n = seen + 1
		})
	}
	m.Check(func() error { return isWrong(n != 2) })
}

// These fail. TestFailure runs them in a process of their own.
var failing = map[string]func(t *testing.T){
	"Counter":  func(t *testing.T) { explore.Test(t, counter) },
	"it's (a)": func(t *testing.T) { explore.Test(t, counter) },
	"Queue": func(t *testing.T) {
		explore.Search{Points: []string{"unpark"}}.Test(t, waitAndWake)
	},
	"Deadlock": func(t *testing.T) { explore.Search{Preemptions: 2}.Test(t, twoLocks) },
	"AtOnce": func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) { m.Go("a", func(*explore.Thread) { panic("at once") }) })
	},
	"NoEnd": func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) {
			m.Go("a", oneStep)
			m.Go("spinner", func(th *explore.Thread) {
				for {
					th.Step("look")
				}
			})
		})
	},
	"Require": func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) {
			walk(m, new(string), "a", 1)
			m.Check(func() error {
				require.Equal(t, 1, 2, "in a check")
				return nil
			})
		})
	},
	"Error": func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) {
			word := ""
			walk(m, &word, "A", 1)
			walk(m, &word, "B", 1)
			m.Check(func() error {
				assert.Equal(t, "AB", word)
				return nil
			})
		})
	},
	"RequireInAGoroutine": func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) {
			m.Go("a", func(th *explore.Thread) {
				th.Step("step")
				require.Equal(t, 1, 2, "in a goroutine")
			})
		})
	},
}

func TestToFail(t *testing.T) {
	skipUnlessChild(t)
	for name, test := range failing {
		t.Run(name, test)
	}
}

// A test that fails shows the order as numbered steps, then its fault, then a command. This
// command shows the same steps.
func TestFailure(t *testing.T) {
	for name, want := range map[string][]string{
		"Counter": {"a bad order, after 1 good; the simplest has 1 preemption and 4 steps:\n",
			"   1  A: read\n", "   2  B: read\n", "   3  B: write\n", "   4  A: write\n", "wrong\n",
			"replay it: go test -run '^TestToFail$/^Counter$' -explore.replay 1.2.2.1\n"},
		"it's_(a)": {"a bad order, after 1 good; the simplest has 1 preemption and 4 steps:\n",
			"   1  A: read\n", "   2  B: read\n", `replay it: go test -run '^TestToFail$/^it'\''s_\(a\)$' -explore.replay 1.2.2.1`},
		"Queue":               {"0 preemptions and 3 steps:\n", "   3  waker: unpark\n", "wrong\n"},
		"Deadlock":            {"the simplest has 1 preemption and 4 steps:\n", "   2  b: first\n", "asleep: a, b\n"},
		"AtOnce":              {"after 0 good; the simplest has 0 preemptions and 0 steps:\n", "a has panicked: at once, at flags_test.go:"},
		"NoEnd":               {"this one has 0 preemptions and 500 steps:\n", "  40  spinner: look\n", "      and so on, 450 steps\n", " 500  spinner: look\n", "there is no end to it\n"},
		"Require":             {"in a check", "after 0 good; the simplest has 0 preemptions and 1 step:\n", "   1  a: step\n", "the check has called runtime.Goexit, as t.FailNow does\n"},
		"Error":               {"after 1 good; this one has 0 preemptions and 2 steps:\n", "   1  B: step\n", "the model has failed the test, as t.Error does\n"},
		"RequireInAGoroutine": {"in a goroutine", "   1  a: step\n", "a has called runtime.Goexit, as t.FailNow does\n"},
	} {
		out := child(t, "TestToFail/"+name)
		requireLines(t, out, want...)
		again := replayed(t, out)
		require.Contains(t, again, "--- FAIL: TestToFail/"+name)
		require.Contains(t, again, "a bad order")
		for _, line := range want {
			if strings.HasPrefix(line, "   ") {
				require.Contains(t, again, line)
			}
		}
	}
}

func requireLines(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		require.Contains(t, strings.ReplaceAll(out, "\n        ", "\n"), line)
	}
}

func TestGoodOrderByFlag(t *testing.T) {
	out := child(t, "TestToFail/Counter", "-explore.replay", "1.1.2.2")
	requireLines(t, out, "   1  A: read\n   2  A: write\n   3  B: read\n   4  B: write\nreplay 1.1.2.2\n", "--- PASS: TestToFail/Counter")
}

// An order that is none of the model is no bad order.
func TestWrongReplayByFlag(t *testing.T) {
	for order, want := range map[string]string{
		"1,2":         `explore: the order "1,2" is not numbers with points between them`,
		"x:1":         `explore: the order "x:1" is not numbers with points between them`,
		"1.2.3":       "   2  B: read\nexplore: number 3 cannot go on, only these can: 1 A: write, 2 B: write",
		"1":           "explore: the order ends where these could go on: 1 A: write, 2 B: read",
		"1.1.2.2.1.2": "explore: the model ends before the order does: 1.2 is left of it",
	} {
		out := child(t, "TestToFail/Counter", "-explore.replay", order)
		last := want[strings.LastIndex(want, "\n")+1:]
		requireLines(t, out, last, "--- FAIL: TestToFail/Counter")
		require.NotContains(t, out, "a bad order")
		if steps := strings.TrimSuffix(want, last); steps != "" {
			requireLines(t, out, steps)
		}
	}
}

func TestWant(t *testing.T) {
	for args, want := range map[string]string{
		"":                       "explore: 6 orders; Want is 5",
		"-explore.preemptions=1": "4 orders, 0 bad, 2 choices left out, at most 1 preemption, ",
		"-explore.points=added":  "6 orders, 0 bad, ",
	} {
		out := child(t, "TestWantToFail", strings.Fields(args)...)
		require.Contains(t, out, want)
		require.Equal(t, args == "", strings.Contains(out, "--- FAIL: TestWantToFail"), out)
	}
}

func TestWantToFail(t *testing.T) {
	skipUnlessChild(t)
	explore.Search{Want: 5}.Test(t, walkers(right, 2, 2))
}

// A bad order fails a test of which Want is right.
func TestBoundByFlag(t *testing.T) {
	out := child(t, "TestDeepToFail")
	requireLines(t, out, "the simplest has 3 preemptions and 5 steps")
	out = child(t, "TestDeepToFail", "-explore.preemptions", "2")
	requireLines(t, out, "9 orders, 0 bad, 1 choice left out, at most 2 preemptions, ", "--- PASS: TestDeepToFail")
	requireLines(t, child(t, "TestDeepToFail", "-explore.preemptions=-1"), "explore: -explore.preemptions is -1; it is positive, or 0 for none\n")
	out = child(t, "TestDeepToFail", "-explore.first")
	requireLines(t, out, "this one has 3 preemptions and 5 steps", "replay it: ")
}

func TestDeepToFail(t *testing.T) {
	skipUnlessChild(t)
	explore.Test(t, walkers(func(word string) error { return isWrong(word == "ababa") }, 3, 2))
}

// A test may search twice. The command names the search, and the other one runs as it does.
func TestReplayOfASecondSearch(t *testing.T) {
	out := child(t, "TestTwoSearchesToFail")
	requireLines(t, out, "4 orders, 0 bad", "^TestTwoSearchesToFail$' -explore.replay 2:1.2.2.1\n")
	again := replayed(t, out)
	requireLines(t, again, "4 orders, 0 bad", "   4  A: write\nwrong\nreplay 1.2.2.1\n", "a bad order")
}

func TestTwoSearchesToFail(t *testing.T) {
	skipUnlessChild(t)
	explore.Test(t, walkers(right, 3, 1))
	explore.Test(t, counter)
}

// The points of the flag are in the command that replays the order.
func TestPointsByFlag(t *testing.T) {
	out := child(t, "TestToFail/Queue", "-explore.points", " tested,rwevent , ")
	requireLines(t, out, "   2  waiter: tested\n", "-explore.points ' tested,rwevent , '\n")
	requireLines(t, replayed(t, out), "   2  waiter: tested\n")
	requireLines(t, child(t, "TestToFail/Queue", "-explore.points", "comit"), `explore: there is no point "comit"`)
}

// Near its deadline a test says how far it has come, and does not hang.
func TestDeadlineOfTheTest(t *testing.T) {
	t.Parallel()
	out := child(t, "TestEndlessToFail/good", "-test.timeout", "3s")
	require.Regexp(t, `explore: \d+ orders, 0 bad, [\d.]+s, and the time of the test is over; make the model smaller, or bound its preemptions`, out)
	require.NotContains(t, out, "panic: test timed out")
}

// It still shows the simplest bad order that it has found in time, and does not call it so.
func TestDeadlineOfATestThatFails(t *testing.T) {
	t.Parallel()
	const simplest = "; this one has 1 preemption and 82 steps:\n"
	out := child(t, "TestEndlessToFail/bad", "-test.timeout", "6s")
	if !strings.Contains(out, simplest) { // on a busy machine
		out = child(t, "TestEndlessToFail/bad", "-test.timeout", "40s")
	}
	requireLines(t, out, simplest)
	require.Contains(t, replayed(t, out), "a bad order")
}

// Its models have more orders than can be tried.
func TestEndlessToFail(t *testing.T) {
	skipUnlessChild(t)
	steps := []int{10, 10, 10, 10}
	t.Run("good", func(t *testing.T) { explore.Test(t, walkers(right, steps...)) })
	t.Run("bad", func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) {
			word := ""
			for i, n := range steps {
				walk(m, &word, string(rune('a'+i)), 2*n)
			}
			m.Event("e", func() { word += "e" })
			m.Event("f", func() { word += "f" })
			m.Check(func() error { return isWrong(strings.HasSuffix(word, "dedfd") || strings.HasSuffix(word, "edddf")) })
		})
	})
}
