package main

import (
	"fmt"
	"io"
	"strings"
)

// A row has 120 columns: two numbers of four, the signs between them, and text.
const (
	width    = 120
	textOnly = width - len("1234  = 1234 ")
	tab      = "  "
)

// printRows prints a table of C and Go.
func printRows(out io.Writer, title string, rows []row) error {
	left := leftWidth(rows)
	var text strings.Builder
	text.WriteString(title + "\n\n")
	for _, r := range rows {
		sign := "|"
		if r.same {
			sign = "="
		}
		c, golang := wrap(expand(r.c.text), left), wrap(expand(r.golang.text), textOnly-left)
		for i := range max(len(c), len(golang)) {
			printed := fmt.Sprintf("%4s %-*s %s %4s %s", number(r.c, i), left, at(c, i), sign, number(r.golang, i), at(golang, i))
			text.WriteString(strings.TrimRight(printed, " ") + "\n")
			sign = "|"
		}
	}
	text.WriteString("\n")
	_, err := io.WriteString(out, text.String())
	return err
}

// leftWidth is the width of the widest line of C, but not so much that Go has
// too little.
func leftWidth(rows []row) int {
	widest := 0
	for _, r := range rows {
		widest = max(widest, len([]rune(expand(r.c.text))))
	}
	return min(widest, textOnly/2)
}

func expand(text string) string { return strings.ReplaceAll(text, "\t", tab) }

func number(l line, part int) string {
	if part > 0 || l.number == 0 {
		return ""
	}
	return fmt.Sprint(l.number)
}

func at(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return ""
}

// wrap breaks a text at blanks. A line below the first is indented further, but
// by half of the columns at most, so that it has room for text. If a comment is
// broken, the line below begins with // too.
func wrap(text string, columns int) (parts []string) {
	blanks := len(text) - len(strings.TrimLeft(text, " "))
	code := strings.Repeat(" ", min(blanks+2*len(tab), columns/2))
	comment := strings.Repeat(" ", min(blanks, columns/2)) + "// "
	for {
		end := breakAt([]rune(text), columns)
		if end < 0 {
			return append(parts, text)
		}
		head, tail := string([]rune(text)[:end]), strings.TrimLeft(string([]rune(text)[end:]), " ")
		indent := code
		switch {
		case strings.HasPrefix(tail, "//"):
			indent = strings.TrimSuffix(comment, "// ")
		case strings.Contains(head, "// "):
			indent = comment
		}
		parts = append(parts, strings.TrimRight(head, " "))
		text = indent + tail
	}
}

// breakAt returns where to break, or -1 for a text that fits: before a comment
// behind code, at the last blank that fits, or within a word that is too long.
// It leaves the indent alone.
func breakAt(text []rune, columns int) int {
	if len(text) <= columns {
		return -1
	}
	code := strings.TrimLeft(string(text), " ")
	indent := len(text) - len([]rune(code))
	if strings.HasPrefix(code, "// ") {
		indent += len("// ")
	} else if before, _, found := strings.Cut(code, " // "); found {
		if end := indent + len([]rune(before)); end <= columns {
			return end
		}
	}
	for end := columns; end > indent; end-- {
		if text[end] == ' ' {
			return end
		}
	}
	return columns
}
