package counterpart

import (
	"bytes"
	"os"
	"regexp"
	"strings"
)

// C is a C file in the style of the kernel: a function has its opening brace
// and its closing brace at the start of a line.
type C struct {
	Lines  []string
	code   string // without the text of its comments
	blocks []block
}

// A block is a function, or the text between braces of a variable or a type.
type block struct {
	name        string
	function    bool
	first, last int // lines
}

// ReadC reads a C file.
func ReadC(path string) (*C, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseC(string(text)), nil
}

// ParseC reads the text of a C file.
func ParseC(text string) *C {
	c := &C{Lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n"), code: withoutComments(text)}
	c.blocks = blocks(strings.Split(c.code, "\n"))
	return c
}

var commentOrString = regexp.MustCompile(`"(?:\\.|[^"\\])*"|(?s:/\*.*?\*/)|//[^\n]*`)

// withoutComments replaces each comment by blanks, and leaves its line ends.
func withoutComments(text string) string {
	return string(commentOrString.ReplaceAllFunc([]byte(text), func(found []byte) []byte {
		if found[0] == '"' {
			return found
		}
		return bytes.Map(func(r rune) rune {
			if r == '\n' {
				return r
			}
			return ' '
		}, found)
	}))
}

var (
	functionName = regexp.MustCompile(`(\w+)\(`)
	otherName    = regexp.MustCompile(`(\w+)(?:\[\w*\])?\s*(?:=\s*)?\{$`)
)

func blocks(lines []string) (found []block) {
	head := 0 // the first line of the block, when it has begun
	for i, line := range lines {
		switch {
		case line == "{":
			head = i
			for head > 0 && startsFunction(lines[head-1]) {
				head--
			}
			m := functionName.FindStringSubmatch(strings.Join(lines[head:i], " "))
			if m != nil {
				found = append(found, block{m[1], true, head + 1, len(lines)})
			}
		case !strings.HasPrefix(line, "\t") && otherName.MatchString(line):
			found = append(found, block{otherName.FindStringSubmatch(line)[1], false, i + 1, len(lines)})
		case strings.HasPrefix(line, "}") && len(found) > 0:
			found[len(found)-1].last = i + 1
		}
	}
	return found
}

// startsFunction reports whether a line above an opening brace belongs to the
// head of that function.
func startsFunction(line string) bool {
	return strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "}") &&
		!strings.HasPrefix(line, "#") && !strings.HasSuffix(line, ";")
}

// block returns the block that holds a line. Outside of all it has no name.
func (c *C) block(line int) block {
	for _, b := range c.blocks {
		if b.first <= line && line <= b.last {
			return b
		}
	}
	return block{}
}

// Block returns the name of the function, the variable or the type that holds
// a line, and reports whether it is a function. A line outside of all has no
// name.
func (c *C) Block(line int) (name string, function bool) {
	b := c.block(line)
	return b.name, b.function
}

// Find returns the lines at which the statements begin. The first statement
// begins in that line. The others follow it in this order, in the same block.
func (c *C) Find(statements []string) (lines []int) {
	for _, at := range Pattern(statements[0]).FindAllStringIndex(c.code, -1) {
		line := c.lineOf(at[0])
		if c.follow(at[1], c.block(line), statements[1:]) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (c *C) follow(offset int, in block, statements []string) bool {
	for _, s := range statements {
		at := c.next(offset, in, Pattern(s))
		if at == nil {
			return false
		}
		offset = at[1]
	}
	return true
}

// next returns the first match behind offset in the block.
func (c *C) next(offset int, in block, pattern *regexp.Regexp) []int {
	for _, at := range pattern.FindAllStringIndex(c.code[offset:], -1) {
		at := []int{at[0] + offset, at[1] + offset}
		if c.block(c.lineOf(at[0])) == in {
			return at
		}
	}
	return nil
}

func (c *C) lineOf(offset int) int { return 1 + strings.Count(c.code[:offset], "\n") }
