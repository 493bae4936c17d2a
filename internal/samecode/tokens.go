package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"regexp"
)

// An item is a token of a Go file.
type item struct {
	text string
	line int
}

// asCode are the comments that the go command reads.
var asCode = regexp.MustCompile(`(?i)^(//(go:|line |export |extern |\s*\+build )|/\*line )`)

// output is the first line of the output of an Example. The comments below it are output too.
var output = regexp.MustCompile(`(?i)^(//|/\*)\s*(unordered )?output:`)

// tokens returns the tokens of a Go file, without its comments. If texts, all string literals
// below the imports are the same.
func tokens(source []byte, texts bool) []item {
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	var items []item
	inOutput, inImports := false, true
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return items
		}
		if tok == token.COMMENT {
			inOutput = inOutput || output.MatchString(text)
			if !inOutput && !asCode.MatchString(text) {
				continue
			}
		} else {
			inOutput = false
			inImports = inImports && tok != token.CONST && tok != token.VAR && tok != token.TYPE && tok != token.FUNC
			text = plain(tok, text, texts && !inImports)
		}
		items = append(items, item{text, file.Line(pos)})
	}
}

// plain returns the text of a token: a semicolon is one whether it was written or not.
func plain(tok token.Token, text string, texts bool) string {
	switch {
	case tok == token.SEMICOLON:
		return ";"
	case tok == token.STRING && texts:
		return `""`
	case text == "":
		return tok.String()
	}
	return text
}

// firstDifference says where two lists of tokens begin to differ, or returns "".
func firstDifference(before, after []item) string {
	for i := range max(len(before), len(after)) {
		was, is := at(before, i), at(after, i)
		if was.text != is.text {
			return fmt.Sprintf(":%d: %s, was %s in line %d", is.line, is.text, was.text, was.line)
		}
	}
	return ""
}

// at returns the item at i, or the end of the file.
func at(items []item, i int) item {
	switch {
	case i < len(items):
		return items[i]
	case len(items) == 0:
		return item{"end of file", 1}
	}
	return item{"end of file", items[len(items)-1].line}
}
