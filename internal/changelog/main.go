// Command changelog asks for a line in the changelog for each exported name that has changed.
//
// It reads a report of apidiff -m, which compares a module with its last tag. A changed name
// needs a line in the part of its package, above the heading of the tag. A package that is new
// or gone needs a part. Packages in examples need neither, because they promise nothing.
// The script .ci/api runs this command for each module.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: changelog FILE TAG DIRECTORY <REPORT")
		os.Exit(2)
	}
	missing, err := check(os.Args[1], os.Args[2], os.Args[3], os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(2)
	}
	for _, m := range missing {
		fmt.Println(m)
	}
	if len(missing) > 0 {
		os.Exit(1)
	}
}

// check returns a sentence for each change of the report that has no line in file. The tag is
// the last one of the module in directory dir, which is "." for the root.
func check(file, tag, dir string, report io.Reader) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	version := tag[strings.LastIndex(tag, "/")+1:]
	news, err := since(string(text), version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	changes, err := readReport(report, dir)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, c := range changes {
		if !strings.HasPrefix(c.pkg, "examples/") && !news.tell(c) {
			missing = append(missing, fmt.Sprintf("%s: %s says nothing of: %s", c.pkg, file, c.text))
		}
	}
	return missing, nil
}
