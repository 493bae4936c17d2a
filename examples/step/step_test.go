package step_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var hungry = step.Game{Aim: "leave both hungry for ever", Model: dinner}

// race has two threads that add 1 to a number, each in two steps.
func race(m *explore.Model) {
	n := 0
	for _, name := range []string{"A", "B"} {
		m.Go(name, func(th *explore.Thread) {
			th.Step("read")
			seen := n
			th.Step("write")
			n = seen + 1
		})
	}
	m.Check(func() error {
		if n != 2 {
			return errors.New("an addition is lost")
		}
		return nil
	})
}

// single has one order, which is good.
func single(m *explore.Model) {
	m.Go("A", func(th *explore.Thread) { th.Step("only step") })
}

func TestEveryOrderCanBePlayed(t *testing.T) {
	for range 200 {
		steptest.All(t, hungry, 8, 4)
		steptest.All(t, step.Game{Model: race}, 6, 4)
		steptest.All(t, step.Game{Model: race, Preemptions: 1}, 4, 2)
		steptest.All(t, step.Game{Model: single}, 1, 0)
	}
}

const (
	head = `Your aim: leave both hungry for ever.
4 of 8 orders win.
Type the number of a thread, and Enter: it makes its next step.
h shows hints, r begins again, q leaves.

`
	first = `step 1
  1  Plato: take fork 0
  2  Kant: take fork 1
Which goes on? `
	firstWithHints = `step 1
  1  Plato: take fork 0                         2 of 4 orders win
  2  Kant: take fork 1                          2 of 4 orders win
Which goes on? `
	second = `step 2
  1  Plato: take fork 1
  2  Kant: take fork 1
Which goes on? `
)

func TestKeys(t *testing.T) {
	for _, test := range []struct{ name, keys, want string }{
		{"leave", "q", head + first + "q\n"},
		{"begin again", "1 r q", head + first + "1\n" + second + "r\n" + first + "q\n"},
		{"hint", "h q", head + first + "h\n" + firstWithHints + "q\n"},
		{"the hint is for one step", "h 1 q", head + first + "h\n" + firstWithHints + "1\n" + second + "q\n"},
		{"wrong key", "x q", head + first + "x\n" + "\"x\" does nothing here. These do: 1, 2, h, r, q.\n" + first + "q\n"},
		{"no such thread", "3 q", head + first + "3\n" + "\"3\" does nothing here. These do: 1, 2, h, r, q.\n" + first + "q\n"},
		{"thread asleep", "1 2 2 2 q", `Which goes on? 2
step 4
  1  Plato: take fork 1
  -  Kant: asleep
Which goes on? 2
"2" does nothing here. These do: 1, h, r, q.
step 4
`},
		{"thread at its end", "1 1 1 q", `Which goes on? 1
step 4
  -  Plato: at its end
  2  Kant: take fork 1
Which goes on? q
`},
		{"wrong key at the end", "1 2 2 1 1 q", `4 of 8 orders win.
Again? r begins again, q leaves: 1
"1" does nothing here. These do: r, q.
Again? r begins again, q leaves: q
`},
		{"once more", "1 2 2 1 r q", "Again? r begins again, q leaves: r\n" + first + "q\n"},
		{"won", "2 1 1 2 q", `Which goes on? 2

You have won: asleep: Plato, Kant
Your order:
   1  Kant: take fork 1
   2  Plato: take fork 0
   3  Plato: take fork 1
   4  Kant: take fork 0
replay 2.1.1.2
4 of 8 orders win.
Again? r begins again, q leaves: q
`},
		{"lost", "1 1 1 2 2 2 q", `Which goes on? 2

You have not won. Your order:
   1  Plato: take fork 0
   2  Plato: take fork 1
   3  Plato: eat, and put both forks back
   4  Kant: take fork 1
   5  Kant: take fork 0
   6  Kant: eat, and put both forks back
replay 1.1.1.2.2.2
4 of 8 orders win. The simplest that wins:
   1  Plato: take fork 0
   2  Kant: take fork 1
   3  Kant: take fork 0
   4  Plato: take fork 1
asleep: Plato, Kant
replay 1.2.2.1
Again? r begins again, q leaves: q
`},
	} {
		screen := steptest.Terminal(t, hungry, []string{"-step"}, strings.Fields(test.keys)...)
		require.Contains(t, screen, test.want, test.name)
		require.True(t, strings.HasPrefix(screen, head+first), test.name)
	}
}

// Blanks around a key do no harm.
func TestKeyWithBlanks(t *testing.T) {
	screen := steptest.Terminal(t, hungry, []string{"-step"}, " 1\t", "q ")
	require.Equal(t, head+first+" 1\t\n"+second+"q \n", screen)
}

func TestHintFromTheStart(t *testing.T) {
	for _, args := range [][]string{{"-hint"}, {"-step", "-hint"}} {
		require.Equal(t, head+firstWithHints+"q\n", steptest.Terminal(t, hungry, args, "q"))
	}
}

// A switch that the bound forbids cannot be chosen.
func TestBound(t *testing.T) {
	game := step.Game{Aim: "lose an addition", Model: race, Preemptions: 1}
	require.Equal(t, `Your aim: lose an addition.
2 of 4 orders win. An order has at most 1 preemption:
a switch from a thread that could have gone on.
Type the number of a thread, and Enter: it makes its next step.
h shows hints, r begins again, q leaves.

step 1
  1  A: read
  2  B: read
Which goes on? 1
step 2
  1  A: write
  2  B: read
Which goes on? 2
step 3
  -  A: write (one preemption too many)
  2  B: write
Which goes on? 1
"1" does nothing here. These do: 2, h, r, q.
step 3
  -  A: write (one preemption too many)
  2  B: write
Which goes on? q
`, steptest.Terminal(t, game, []string{"-step"}, "1", "2", "1", "q"))
}

func TestNoOrderWins(t *testing.T) {
	require.Equal(t, `Your aim: find a bug.
0 of 1 order wins.
Type the number of a thread, and Enter: it makes its next step.
h shows hints, r begins again, q leaves.

step 1
  1  A: only step
Which goes on? 1

You have not won. Your order:
   1  A: only step
replay 1
0 of 1 order wins.
Again? r begins again, q leaves: q
`, steptest.Terminal(t, step.Game{Aim: "find a bug", Model: single}, []string{"-step"}, "1", "q"))
	_, err := step.Play([]string{"-show"}, nil, io.Discard, step.Game{Model: single})
	require.EqualError(t, err, "step: no order wins, so there is none to show")
	require.Equal(t, 1, step.Status(err))
}

func TestArgs(t *testing.T) {
	var out strings.Builder
	for _, args := range [][]string{nil, {"-step=false"}} {
		played, err := step.Play(args, nil, &out, hungry)
		require.NoError(t, err)
		require.False(t, played)
		require.Empty(t, out.String())
		require.Zero(t, step.Status(err))
	}

	played, err := step.Play([]string{"-help"}, nil, &out, hungry)
	require.NoError(t, err)
	require.True(t, played)
	usage := out.String()
	for _, name := range []string{"-step", "-hint", "-show"} {
		require.Contains(t, usage, "\n  "+name+"  ")
	}

	for args, want := range map[string]string{
		"-x":       "step: flag provided but not defined: -x\n",
		"-step -x": "step: flag provided but not defined: -x\n",
		"x":        "step: unexpected argument \"x\"\n",
		"-step x":  "step: unexpected argument \"x\"\n",
		"-step=x":  "step: invalid boolean value \"x\" for -step: parse error\n",
	} {
		played, err = step.Play(strings.Fields(args), nil, io.Discard, hungry)
		require.EqualError(t, err, want+usage, args)
		require.False(t, played)
		require.Equal(t, 2, step.Status(err))
	}
}

// A program tells its story, unless its arguments ask for the game or are wrong.
func TestProgram(t *testing.T) {
	full := errors.New("full")
	told := 0
	program := step.Program{Name: "dinner", Game: hungry, Story: func(out io.Writer) error {
		told++
		_, _ = io.WriteString(out, "story")
		return full
	}}
	for range 2 {
		var out strings.Builder
		require.NoError(t, program.Run([]string{"-step"}, strings.NewReader("q\n"), &out))
		require.True(t, strings.HasPrefix(out.String(), head))
		require.Equal(t, 2, step.Status(program.Run([]string{"-x"}, nil, &out)))
		require.Zero(t, told)
	}
	var out strings.Builder
	require.Equal(t, full, program.Run(nil, nil, &out))
	require.Equal(t, "story", out.String())
}

// An input that ends in the middle of an order is an error. At its end the player may leave so.
func TestInputEnds(t *testing.T) {
	for keys, want := range map[string]string{
		"":        "step: the input ends at step 1, before the order does",
		"1\nx\n2": "step: the input ends at step 3, before the order does",
	} {
		var out strings.Builder
		_, err := step.Play([]string{"-step"}, strings.NewReader(keys), &out, hungry)
		require.EqualError(t, err, want)
		require.Equal(t, 1, step.Status(err))
		require.True(t, strings.HasSuffix(out.String(), "Which goes on? \n"))
	}
	_, err := step.Play([]string{"-step"}, strings.NewReader("1\n2\n2\n1\n"), io.Discard, hungry)
	require.NoError(t, err)
}

func TestInputFails(t *testing.T) {
	broken := errors.New("broken")
	for _, keys := range []string{"", "1\n", "1\n2\n2\n1\n"} {
		in := io.MultiReader(strings.NewReader(keys), iotest.ErrReader(broken))
		_, err := step.Play([]string{"-step"}, in, io.Discard, hungry)
		require.ErrorIs(t, err, broken)
		require.EqualError(t, err, "step: cannot read a key: broken")
	}
}

// A writer takes so many texts, and then it fails.
type writer struct{ left int }

var errFull = errors.New("full")

func (w *writer) Write(text []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errFull
	}
	return len(text), nil
}

func TestOutputFails(t *testing.T) {
	texts := 0
	for ; ; texts++ {
		_, err := step.Play([]string{"-step"}, strings.NewReader("1\n2\nh\nx\n2\n1\nx\n"), &writer{texts}, hungry)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, errFull)
	}
	require.Equal(t, 9, texts, "eight questions, and the end of the input")
	for _, arg := range []string{"-show", "-help"} {
		_, err := step.Play([]string{arg}, nil, &writer{}, hungry)
		require.ErrorIs(t, err, errFull)
	}
}

// Each line fits a terminal of 80 columns.
func TestScreenIsNotWide(t *testing.T) {
	screen := steptest.Terminal(t, step.Game{Aim: "lose", Model: race, Preemptions: 1}, []string{"-hint"}, "?", "1", "2", "?", "2", "1", "q")
	for line := range strings.Lines(screen) {
		require.LessOrEqual(t, len(line)-1, 80, line)
	}
}
