// Ktrace draws a trace: a lane for each thread, which shows where the thread sleeps
// and which thread wakes it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/kprim/kprim/kthread/trace/picture"
)

const usage = `usage: ktrace [-svg] [-steps] [-width N] [FILE]

ktrace reads a trace of package kthread/trace, or ftrace text of the kernel,
and prints it as a chart. It reads from FILE. If FILE is "-", or there is none,
it reads from standard input.

`

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "ktrace:", err)
		os.Exit(1)
	}
}

const widest = 10_000 // columns of the text

// errUsage is the error of arguments that were wrong. The message was printed.
var errUsage = errors.New("wrong arguments")

// run is the command.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("ktrace", flag.ContinueOnError)
	flags.SetOutput(stderr)
	svg := flags.Bool("svg", false, "print an SVG image instead of text")
	steps := flags.Bool("steps", false, "give each step the same width, instead of drawing time")
	width := flags.Int("width", 80, "the width of the text in `columns`")
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	case flags.NArg() > 1:
		fmt.Fprintf(stderr, "ktrace: %d files, and at most one is possible\n", flags.NArg())
		flags.Usage()
		return errUsage
	case *width < 1 || *width > widest:
		fmt.Fprintf(stderr, "ktrace: a width of %d columns, and 1 to %d are possible\n", *width, widest)
		flags.Usage()
		return errUsage
	}
	name := "-"
	if flags.NArg() > 0 {
		name = flags.Arg(0)
	}
	chart, err := read(name, stdin)
	if err != nil {
		return err
	}
	chart.Steps = *steps
	if *svg {
		return chart.SVG(stdout)
	}
	return chart.Text(stdout, *width)
}

// read parses the file, or stdin if the name is "-".
func read(name string, stdin io.Reader) (*picture.Chart, error) {
	if name == "-" {
		return picture.Parse(stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return picture.Parse(file)
}
