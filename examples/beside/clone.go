package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kprim/kprim/examples/internal/counterpart"
)

var moduleLine = regexp.MustCompile(`(?m)^module github\.com/kprim/kprim$`)

// findExamples returns the folder of the examples in the clone that holds dir.
// It climbs, because another module of the clone may hold dir.
func findExamples(dir string) (string, error) {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && moduleLine.Match(text) {
			return filepath.Join(dir, "examples"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("this folder is not in a clone of github.com/kprim/kprim, " +
				"which has the C files. Run it in a clone: go run ./examples/beside")
		}
		dir = parent
	}
}

// articleNames returns the names of the articles that have a kernel module.
func articleNames(examples string) (names []string, err error) {
	readmes, err := filepath.Glob(filepath.Join(examples, "*", "README.md"))
	if err != nil {
		return nil, err
	}
	for _, path := range readmes {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(text), "\n"+counterpart.HeaderOfArticle) {
			names = append(names, filepath.Base(filepath.Dir(path)))
		}
	}
	return names, nil
}
