package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
)

// A change is a line of a report.
type change struct {
	pkg  string // relative to the repository
	name string // without its type, or "" if the package itself is new or gone
	text string
}

var (
	noChange  = regexp.MustCompile(`^((Inc|C)ompatible changes:|! second, different message .*)?$`)
	ofPackage = regexp.MustCompile(`^- package (\S+): (added|removed)$`)
	ofName    = regexp.MustCompile(`^- (\./[^.:]*\.)?([^:]+): .`)
	typeArgs  = regexp.MustCompile(`\[[^]]*\]`)
)

const root = "github.com/kprim/kprim"

// readReport returns the changes of a report about the module in directory dir.
func readReport(report io.Reader, dir string) ([]change, error) {
	var changes []change
	lines := bufio.NewScanner(report)
	for lines.Scan() {
		line := lines.Text()
		if noChange.MatchString(line) {
			continue
		}
		c, err := parse(line, dir)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, lines.Err()
}

// parse returns the change that a line tells of.
func parse(line, dir string) (change, error) {
	text := strings.TrimPrefix(line, "- ")
	if m := ofPackage.FindStringSubmatch(line); m != nil {
		return change{pkg: strings.TrimPrefix(m[1], root+"/"), text: text}, nil
	}
	m := ofName.FindStringSubmatch(line)
	if m == nil {
		return change{}, fmt.Errorf("not a line of apidiff: %q", line)
	}
	name, _, _ := strings.Cut(typeArgs.ReplaceAllString(m[2], ""), ",")
	return change{
		pkg:  path.Join(dir, strings.TrimSuffix(m[1], ".")),
		name: name[strings.LastIndex(name, ".")+1:],
		text: text,
	}, nil
}
