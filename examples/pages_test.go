package examples_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/kerneltable"
)

// Each link of a page leads to a file, and to a heading of that page if it names
// one.
func TestEachLinkOfThePagesLeadsSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(?:#([^)]+))?\)`)
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			file := path.Join(path.Dir(name), m[1])
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			_, err := os.Stat(file)
			assert.NoError(t, err, name)
			if m[2] != "" && path.Ext(file) == ".md" {
				assert.Contains(t, anchors(read(t, file)), m[2], "%s: %s", name, m[0])
			}
		}
	}
}

// Each Go name of a page exists.
func TestEachGoNameOfThePagesExists(t *testing.T) {
	docs := documented(t)
	for _, dir := range []string{"onecpu", "step"} {
		comments, err := kerneltable.Comments(os.DirFS(dir))
		require.NoError(t, err)
		maps.Copy(docs, comments)
	}
	packages := map[string]bool{}
	for name := range docs {
		pkg, _, _ := strings.Cut(name, ".")
		packages[pkg] = true
	}
	goName := regexp.MustCompile("`(([a-z]+)\\.[A-Z][A-Za-z.]*)`")
	for _, name := range pages(t) {
		for _, m := range goName.FindAllStringSubmatch(read(t, name), -1) {
			_, exists := docs[m[1]]
			assert.True(t, exists || !packages[m[2]], "%s: there is no %s", name, m[1])
		}
	}
}

// The table of games has the aim of each game, and how many of its orders win.
func TestEachGameIsInTheTable(t *testing.T) {
	if testing.Short() {
		t.Skip("builds nine programs")
	}
	dir := t.TempDir() + "/"
	programs := []string{"./pipe"}
	for _, name := range failures {
		programs = append(programs, "./"+name)
	}
	run(t, ".", append([]string{"go", "build", "-o", dir}, programs...)...)
	command := regexp.MustCompile("(?m)^\\| `go run \\./examples/([a-z-]+) -step ?([a-z]*)` \\| .*$")
	begin := regexp.MustCompile(`^Your aim: (.*)\.\n(.*) orders wins?\.\n`)
	before := read(t, "README.md")
	after := command.ReplaceAllStringFunc(before, func(row string) string {
		name := command.FindStringSubmatch(row)
		args := strings.Fields("-step " + name[2])
		game := begin.FindStringSubmatch(play(t, exec.Command(dir+name[1], args...), "q"))
		require.NotNil(t, game, row)
		cell, _, _ := strings.Cut(row, " | ")
		return fmt.Sprintf("%s | %s | %s |", cell, game[1], game[2])
	})
	require.Len(t, command.FindAllString(before, -1), len(failures)+3)
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(after), 0o644))
		return
	}
	require.Equal(t, after, before, "go test ./examples -run Game -update writes it")
}

// The README of the examples shows the game that a reader plays first.
func TestReadmeShowsAGameThatIsWon(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lost-wakeup")
	run(t, ".", "go", "build", "-o", program, "./lost-wakeup")
	game := play(t, exec.Command(program, "-step"), "1", "2", "2", "1", "q")
	require.Contains(t, game, "You have won")
	before := read(t, "README.md")
	after := shown(t, before, "go run ./examples/lost-wakeup -step", game)
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(after), 0o644))
		return
	}
	require.Equal(t, after, before, "go test ./examples -run Game -update writes it")
}
