package step

import (
	"fmt"
	"io"
	"os"
)

// A Program shows a bug by itself, and offers it as a game.
type Program struct {
	Name  string // for errors
	Game  Game
	Story func(out io.Writer) error // the output without a flag
}

// Main is the main function of the program. It ends the process.
func (p Program) Main() {
	err := p.Run(os.Args[1:], os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
	}
	os.Exit(Status(err))
}

// Run plays the game if args ask for it, as [Play] does. Without args it tells the story.
func (p Program) Run(args []string, in io.Reader, out io.Writer) error {
	if played, err := Play(args, in, out, p.Game); played || err != nil {
		return err
	}
	return p.Story(out)
}
