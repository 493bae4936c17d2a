package explore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/waitqueue/explore"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

// A finder is Find of a Search, or its Run.
type finder func(s explore.Search, model func(*explore.Model)) explore.Result

// inBoth runs a test twice: with orders in bubbles, and in a program.
func inBoth(t *testing.T, test func(t *testing.T, find finder)) {
	t.Helper()
	t.Run("bubbles", func(t *testing.T) {
		test(t, func(s explore.Search, model func(*explore.Model)) explore.Result { return s.Find(t, model) })
	})
	t.Run("program", func(t *testing.T) {
		test(t, func(s explore.Search, model func(*explore.Model)) explore.Result { return s.Run(model) })
	})
}

// full is the search that leaves nothing out.
var full explore.Search

var errWrong = errors.New("wrong")

func isWrong(wrong bool) error {
	if wrong {
		return errWrong
	}
	return nil
}

// walk adds a goroutine that makes so many steps, and adds its name to log in each.
func walk(m *explore.Model, log *string, name string, steps int) {
	m.Go(name, func(th *explore.Thread) {
		for range steps {
			th.Step("step")
			*log += name
		}
	})
}

// walkers is a model of goroutines a, b and so on that make so many steps each. judge gets
// the order as a word, such as aabab.
func walkers(judge func(word string) error, steps ...int) func(*explore.Model) {
	return func(m *explore.Model) {
		word := ""
		for i, n := range steps {
			walk(m, &word, string(rune('a'+i)), n)
		}
		m.Check(func() error { return judge(word) })
	}
}

func right(string) error { return nil }

// requireFault fails unless there is one order, and it is bad for this reason.
func requireFault(t *testing.T, r explore.Result, fault string) {
	t.Helper()
	require.NotNil(t, r.Simplest, "no order is bad")
	require.Contains(t, r.Simplest.Fault, fault)
}

// message returns the text of f's panic.
func message(t *testing.T, f func()) (text string) {
	t.Helper()
	defer func() { text, _ = recover().(string) }()
	f()
	t.Fatal("there is no panic")
	return ""
}

const toFail = "KPRIM_EXPLORE_FAILS"

// skipUnlessChild skips a test that fails, unless it runs in the process that child starts.
func skipUnlessChild(t *testing.T) {
	t.Helper()
	if os.Getenv(toFail) == "" {
		t.Skip("another test runs it")
	}
}

// child runs one test of this package in a process of its own, and returns its output.
func child(t *testing.T, test string, args ...string) string {
	t.Helper()
	return childOf(t, append([]string{"-test.run", "^" + strings.ReplaceAll(regexp.QuoteMeta(test), "/", "$/^") + "$", "-test.v"}, args...)...)
}

func childOf(t *testing.T, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skip("no processes here: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), toFail+"=1")
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Skip("no processes here: ", err)
	}
	return string(out)
}

// replayLine matches the command with which a failed test says how it is replayed.
var replayLine = regexp.MustCompile(`replay it: go test (.*)`)

// replayed runs the command that the output of a failed test prints.
func replayed(t *testing.T, out string) string {
	t.Helper()
	line := replayLine.FindStringSubmatch(out)
	require.NotNil(t, line, out)
	args := shellWords(line[1])
	for i, arg := range args {
		if arg == "-run" {
			args[i] = "-test.run"
		}
	}
	return childOf(t, append(args, "-test.v")...)
}

// shellWord matches a word of a command: quoted text, a backslash with a letter, other letters.
var shellWord = regexp.MustCompile(`(?:'[^']*'|\\.|[^\s'\\])+`)

// shellWords takes a command apart as a shell does.
func shellWords(command string) (words []string) {
	part := regexp.MustCompile(`'([^']*)'|\\(.)`)
	for _, word := range shellWord.FindAllString(command, -1) {
		words = append(words, part.ReplaceAllString(word, "$1$2"))
	}
	return words
}

// between returns the part of text after one string and before the next other.
func between(text, after, before string) string {
	_, text, _ = strings.Cut(text, after)
	text, _, _ = strings.Cut(text, before)
	return text
}
