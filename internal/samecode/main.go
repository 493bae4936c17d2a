// Command samecode says whether two revisions have the same code, so that they differ in words
// only: in comments and in Markdown.
//
// It compares the tokens of each Go file. A comment counts as code if the go command reads it:
// a directive such as //go:build, and the output of an Example. With -texts, string literals
// may differ. Any other file that differs is reported, except Markdown.
// The script .ci/words runs this command.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	texts := flag.Bool("texts", false, "string literals may differ, such as texts of errors and messages of tests")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: .ci/words [-texts] BASE [REVISION]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		flag.Usage()
		os.Exit(2)
	}
	base, revision := flag.Arg(0), "HEAD"
	if flag.NArg() == 2 {
		revision = flag.Arg(1)
	}
	differences, files, err := compare(git{"."}, base, revision, *texts)
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(2)
	}
	for _, d := range differences {
		fmt.Println(d)
	}
	fmt.Printf("%d files differ, %d in more than words\n", files, len(differences))
	if len(differences) > 0 {
		os.Exit(1)
	}
}
