package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// git is a repository in a directory.
type git struct{ dir string }

// changes returns the files that differ between two revisions.
func (g git) changes(base, revision string) ([]fileChange, error) {
	raw, err := g.run("diff", "--raw", "--no-renames", "-z", base, revision, "--")
	return parseRaw(string(raw)), err
}

// file returns a file of a revision.
func (g git) file(revision, name string) ([]byte, error) {
	return g.run("show", revision+":"+name)
}

func (g git) run(args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = g.dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %s", strings.Join(args, " "), strings.TrimSpace(errs.String()))
	}
	return out, nil
}
