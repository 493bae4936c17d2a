// Beside prints the kernel module of an article and its Go program, side by
// side.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const usage = `usage: beside NAME

beside prints the kernel module of an article on the left, and the Go program on
the right, 120 columns wide. A = joins two lines that say the same. NAME is one of
    %s
`

func main() {
	dir, err := os.Getwd()
	if err == nil {
		err = run(os.Args[1:], dir, os.Stdout)
	}
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "beside:", err)
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

// errUsage is an error of the arguments.
var errUsage = errors.New("wrong arguments")

// run is the command, in the folder dir.
func run(args []string, dir string, out io.Writer) error {
	examples, err := findExamples(dir)
	if err != nil {
		return err
	}
	articles, err := articleNames(examples)
	if err != nil {
		return err
	}
	list := strings.Join(articles, "\n    ")
	switch {
	case len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help":
		_, err = fmt.Fprintf(out, usage, list)
		return err
	case len(args) > 1:
		return fmt.Errorf("%w: %d names, and one is possible", errUsage, len(args))
	case !slices.Contains(articles, args[0]):
		return fmt.Errorf("%w: no article %q. The articles are\n    %s", errUsage, args[0], list)
	}
	return printArticle(out, examples, args[0])
}
