package main

import (
	"path"
	"strings"
)

// compare returns a line for each file that differs in more than words, and how many differ.
func compare(g git, base, revision string, texts bool) (differences []string, files int, err error) {
	changes, err := g.changes(base, revision)
	if err != nil {
		return nil, 0, err
	}
	for _, c := range changes {
		d, err := c.difference(g, base, revision, texts)
		if err != nil {
			return nil, 0, err
		}
		if d != "" {
			differences = append(differences, c.file+d)
		}
	}
	return differences, len(changes), nil
}

// difference says how the code of a file differs, or returns "".
func (c fileChange) difference(g git, base, revision string, texts bool) (string, error) {
	switch {
	case path.Ext(c.file) == ".md":
		return "", nil
	case c.status == "A":
		return ": is new", nil
	case c.status == "D":
		return ": is gone", nil
	case c.status != "M":
		return ": has another mode or type", nil
	case path.Ext(c.file) != ".go":
		return ": is neither Go nor Markdown", nil
	}
	before, err := g.file(base, c.file)
	if err != nil {
		return "", err
	}
	after, err := g.file(revision, c.file)
	if err != nil {
		return "", err
	}
	return firstDifference(tokens(before, texts), tokens(after, texts)), nil
}

// A fileChange is a file that two revisions do not have in common.
type fileChange struct {
	status string // as git diff --raw has it, and "T" if the mode has changed
	file   string
}

// parseRaw returns the changes in the output of git diff --raw -z.
func parseRaw(raw string) []fileChange {
	fields := strings.Split(raw, "\x00")
	var changes []fileChange
	for i := 0; i+1 < len(fields); i += 2 {
		modes := strings.Fields(strings.TrimPrefix(fields[i], ":"))
		status := modes[4]
		if status == "M" && modes[0] != modes[1] {
			status = "T"
		}
		changes = append(changes, fileChange{status, fields[i+1]})
	}
	return changes
}
