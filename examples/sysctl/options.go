package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const usage = `This program shows and sets variables, with the options of sysctl(8). It
has a small tree of variables of its own, which lives as long as it runs. No
variable of the machine is read or changed.

Show all variables:
    go run ./examples/sysctl -a
Set one variable, and show it afterwards:
    go run ./examples/sysctl kernel.msgmax=100 kernel.msgmax
Show the names in two directories:
    go run ./examples/sysctl -N net.ipv4.conf kernel

The arguments are done from left to right:
  NAME                  show the variable, or all variables in the directory
  NAME=VALUE            set the variable, and show the setting
A name has dots or slashes: kernel.msgmax and kernel/msgmax are the same
variable. An option may stand before or after the arguments.

Options for the input:
  -a, --all             show every readable variable; ignore the arguments
  -r, --pattern REGEXP  use only the names and settings in which REGEXP matches
  -e, --ignore          skip a name that does not exist; it is no error
  -w, --write           every argument must be a setting
  -p, --load[=FILE]     read settings, one a line, from FILE and from the files
                        that the arguments name; "-" is the standard input;
                        without any file, read /etc/sysctl.conf

Options for the output:
  -n, --values          print the value without the name
  -N, --names           print the name without the value
  -b, --binary          print the value alone, without a newline after it
  -q, --quiet           print nothing for a setting that succeeds

  -h, --help            print this text
`

const (
	try    = "Option -h explains the arguments and the options."
	blanks = " \t\n\v\f\r"
)

// options holds the parsed arguments.
type options struct {
	all, binary, ignore, names, values, load, quiet, write, help bool

	file    string // the value of -p, if it has one
	pattern string
	regexp  *regexp.Regexp // pattern, compiled; nil for a malformed one, which selects nothing
	args    []string       // the arguments that are no options, in their order
}

var long = map[string]byte{
	"all": 'a', "binary": 'b', "ignore": 'e', "names": 'N', "values": 'n',
	"load": 'p', "pattern": 'r', "quiet": 'q', "write": 'w', "help": 'h',
}

// parse finds options as getopt_long does: an option may follow other arguments.
func (o *options) parse(args []string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			o.args = append(o.args, args...)
			return nil
		case strings.HasPrefix(arg, "--"):
			args, err = o.long(arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = o.letters(arg[1:], args)
		default:
			o.args = append(o.args, arg)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *options) long(arg string, rest []string) ([]string, error) {
	name, value, given := strings.Cut(arg, "=")
	letter := long[name]
	switch {
	case letter == 0:
		return rest, fmt.Errorf("unrecognized option '--%s'", name)
	case given && letter != 'p' && letter != 'r':
		return rest, fmt.Errorf("option '--%s' doesn't allow an argument", name)
	case letter == 'r' && !given && len(rest) == 0:
		return rest, fmt.Errorf("option '--%s' requires an argument", name)
	case letter == 'r' && !given:
		value, rest = rest[0], rest[1:]
	}
	o.set(letter, value)
	return rest, nil
}

func (o *options) letters(letters string, rest []string) ([]string, error) {
	for i := range len(letters) {
		letter, value := letters[i], letters[i+1:]
		switch {
		case letter == 'r' && value == "" && len(rest) == 0:
			return rest, errors.New("option requires an argument -- 'r'")
		case letter == 'r' && value == "":
			o.set(letter, rest[0])
			return rest[1:], nil
		case letter == 'r' || letter == 'p': // the rest of the group is its value
			o.set(letter, value)
			return rest, nil
		case o.flag(letter) == nil:
			return rest, fmt.Errorf("invalid option -- '%c'", letter)
		}
		o.set(letter, "")
	}
	return rest, nil
}

// set stores an option and its value. The option exists.
func (o *options) set(letter byte, value string) {
	switch letter {
	case 'r':
		o.pattern = value
		o.regexp, _ = regexp.CompilePOSIX(value)
		return
	case 'p':
		o.file = cmp.Or(value, o.file) // -p alone does not take back the FILE of another -p
	}
	*o.flag(letter) = true
}

// flag returns the letter's flag, or nil if there is no such flag. Only -p has a
// flag and a value.
func (o *options) flag(letter byte) *bool {
	return map[byte]*bool{
		'a': &o.all, 'b': &o.binary, 'e': &o.ignore, 'N': &o.names, 'n': &o.values,
		'p': &o.load, 'q': &o.quiet, 'w': &o.write, 'h': &o.help,
	}[letter]
}

// files returns the files that -p reads.
func (o *options) files() []string {
	files := o.args
	if o.file != "" {
		files = append([]string{o.file}, files...)
	}
	if len(files) == 0 {
		files = []string{"/etc/sysctl.conf"}
	}
	return files
}

// selects reports whether the pattern matches in s. Without a pattern the answer is true.
func (o *options) selects(s string) bool {
	return o.pattern == "" || o.regexp != nil && o.regexp.MatchString(s)
}
