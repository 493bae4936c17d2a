// Sysctl is sysctl(8) for a tree of its own. The tree lives as long as the program
// runs. The program does not touch the machine's /proc/sys.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kprim/kprim/sysctl"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// A command is one call of the program.
type command struct {
	options
	tree           *sysctl.Tree
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run carries out the arguments, and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &command{stdin: stdin, stdout: stdout, stderr: stderr}
	c.tree = newTree(c.wrote)
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 1
	}
	if err := c.parse(args); err != nil {
		c.warn("%v", err)
		c.help = true
	}
	switch {
	case c.help:
		fmt.Fprint(stdout, usage)
		return 0 // also for an unknown option
	case c.all:
		return c.show("")
	case c.load:
		return c.loadFiles()
	case len(c.args) == 0:
		c.warn("no variables specified\n" + try)
		return 1
	case c.names && c.quiet:
		c.warn("options -N and -q cannot coexist\n" + try)
		return 1
	}
	code := 0
	for _, arg := range c.args {
		if c.write || strings.Contains(arg, "=") {
			code |= c.set(arg)
		} else {
			code += c.get(arg) // so the code counts the missing keys
		}
	}
	return code & 0xff
}

// get shows the entry or the directory that key names.
func (c *command) get(key string) int {
	if key == "" {
		c.warn(`"" is an unknown key`)
		return -1
	}
	return c.show(sysctl.Path(key))
}

// set carries out an argument key=value, with the syntax of a line of a file.
func (c *command) set(arg string) int {
	line := strings.TrimLeft(arg, blanks)
	if len(line) < 2 || line[0] == '#' || line[0] == ';' || !c.selects(line) {
		return 1
	}
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		c.warn("command line(0): invalid syntax, continuing...")
		return 1
	}
	key, optional := strings.CutPrefix(key, "-")
	if optional {
		key = strings.TrimPrefix(key, "-")
	}
	path := inTree(sysctl.Path(strings.Trim(key, blanks)))
	err := c.tree.WriteFile(sysctl.Root, path, []byte(strings.Trim(value, blanks)+"\n"))
	if err == nil || optional {
		return 0
	}
	return c.failed(sysctl.Key(path), err)
}

// loadFiles writes the settings of the files. It reports the same faults as
// sysctl(8).
func (c *command) loadFiles() (code int) {
	err := c.tree.Load(sysctl.Root, host{c}, c.files()...)
	if err == nil {
		return 0
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		bad := err.(*sysctl.SettingError)
		switch {
		case bad.Line == 0:
			c.warn("cannot open \"%s\": %s", bad.File, text(bad))
			code = 1
		case bad.Line > 0 && bad.Key == "":
			c.warn("%s(%d): invalid syntax, continuing...", bad.File, bad.Line)
		default:
			code |= c.failed(bad.Key, bad)
		}
	}
	return code
}
