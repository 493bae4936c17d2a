package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const usage = `
Usage:
 sysctl [options] [variable[=value] ...]

Options:
  -a, --all            display all variables
  -b, --binary         print value without new line
  -e, --ignore         ignore unknown variables errors
  -N, --names          print variable names without values
  -n, --values         print only values of the given variable(s)
  -p, --load[=<file>]  read values from file
  -r, --pattern <expression>
                       select setting that match expression
  -q, --quiet          do not echo variable set
  -w, --write          enable writing a value to variable

 -h, --help     display this help and exit
`

const (
	try    = "Try `sysctl --help' for more information."
	blanks = " \t\n\v\f\r"
)

// options are what the arguments say.
type options struct {
	all, binary, ignore, names, values, load, quiet, write, help bool

	file    string // that of -p, if it is in the same argument
	pattern string
	regexp  *regexp.Regexp // of pattern; nil if it is not one, which selects nothing
	args    []string       // all else, wherever it is
}

var long = map[string]byte{
	"all": 'a', "binary": 'b', "ignore": 'e', "names": 'N', "values": 'n',
	"load": 'p', "pattern": 'r', "quiet": 'q', "write": 'w', "help": 'h',
}

// parse takes options as getopt_long does, also after other arguments.
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
		case letter == 'r' || letter == 'p': // the other letters are its value
			o.set(letter, value)
			return rest, nil
		case o.flag(letter) == nil:
			return rest, fmt.Errorf("invalid option -- '%c'", letter)
		}
		o.set(letter, "")
	}
	return rest, nil
}

// set takes an option that there is, and its value.
func (o *options) set(letter byte, value string) {
	switch letter {
	case 'r':
		o.pattern = value
		o.regexp, _ = regexp.CompilePOSIX(value)
		return
	case 'p':
		o.file = value
	}
	*o.flag(letter) = true
}

// flag returns that of a letter which has no value.
func (o *options) flag(letter byte) *bool {
	return map[byte]*bool{
		'a': &o.all, 'b': &o.binary, 'e': &o.ignore, 'N': &o.names, 'n': &o.values,
		'p': &o.load, 'q': &o.quiet, 'w': &o.write, 'h': &o.help,
	}[letter]
}

// files are those of -p.
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

// selects reports whether the pattern, if there is one, is in s.
func (o *options) selects(s string) bool {
	return o.pattern == "" || o.regexp != nil && o.regexp.MatchString(s)
}
