// Package step makes a game of a model: a player chooses which thread makes each step, and
// tries to reach a bug.
//
// A lecturer can make a game of any model of package explore. The model needs named steps,
// and a check that calls the bug a bug. Then a program offers the game with its flags:
//
//	func main() {
//		step.Program{Name: "dinner", Game: game, Story: story}.Main()
//	}
//
//	// story is the program without the game.
//	func story(out io.Writer) error
//
// The Example has the model of a dinner. Package steptest tests a game: it plays every order.
//
// The game searches all orders of the model first. So it knows how many orders win, and it
// can say below which choices a win is left.
package step

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A Game is a model that a player takes through its steps.
type Game struct {
	Aim         string               // the goal of the player, for example "leave the waiter asleep for ever"
	Model       func(*explore.Model) // an order that the search calls bad is a win
	Preemptions int                  // the bound on preemptions, as in explore.Search; 0 for none
}

const usage = `usage: [-step] [-hint] [-show]
  -step  play: choose which thread makes each step
  -hint  play, and show how many orders still win after each choice
  -show  show the simplest order that wins, step by step
Without a flag the program shows what happens by itself.
`

// Play plays the game if args ask for it, and reports whether they did. They are -step,
// -hint and -show, with the meaning that -help prints. The player types lines into in.
//
// Without one of these, Play does nothing and returns false. It returns an error if it does not know
// one of args, if in ends in the middle of the game, or if out fails. Wrong use of package
// explore panics, as in [explore.Search.Run].
func Play(args []string, in io.Reader, out io.Writer, game Game) (played bool, err error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	step := flags.Bool("step", false, "")
	hints := flags.Bool("hint", false, "")
	show := flags.Bool("show", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(out, usage)
		return true, err
	case err != nil:
		return false, usageError{err}
	case flags.NArg() > 0:
		return false, usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	case !*step && !*hints && !*show:
		return false, nil
	}
	p := newPlayer(game, in, out)
	if *show {
		return true, p.show()
	}
	p.hints = *hints
	return true, p.play()
}

// A usageError is about the arguments.
type usageError struct{ err error }

func (e usageError) Error() string { return fmt.Sprintf("step: %v\n%s", e.err, usage) }

// Status returns the exit status of a program for the error of [Play]: 0 for nil, 2 for
// arguments that Play does not know, and 1 for any other error.
func Status(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)):
		return 2
	}
	return 1
}
