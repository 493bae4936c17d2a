package examples_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program of the page is built in a module outside of this one, without the
// network. The page shows its output, and a game that is won.
func TestExerciseOfYourOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module of its own")
	}
	text := read(t, "your-own.md")
	dir := lecturersModule(t, text)
	program := filepath.Join(dir, "lastseat")
	run(t, dir, "go", "vet", ".")
	run(t, dir, "go", "build", "-o", program, ".")
	run(t, dir, "go", "test", ".")
	text = shown(t, text, "go run .", play(t, exec.Command(program)))
	text = shown(t, text, "go run . -step", play(t, exec.Command(program, "-step"), "1", "2", "1", "2", "q"))
	require.Contains(t, text, "You have won")
	if *update {
		require.NoError(t, os.WriteFile("your-own.md", []byte(text), 0o644))
		return
	}
	require.Equal(t, read(t, "your-own.md"), text, "go test ./examples -run YourOwn -update writes it")
}

// The answer to the last question is in place of sell. No order wins then.
func TestAnswerOfYourOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module of its own")
	}
	text := read(t, "your-own.md")
	dir := lecturersModule(t, text)
	main := filepath.Join(dir, "main.go")
	asked := function(t, read(t, main), "", `func (t *train) sell(`)
	answer := function(t, text, "    ", `func (t *train) sell(at func(step string)) {`+"\n"+`        at("look for a seat, and`)
	answered := strings.Replace(read(t, main), asked, answer, 1)
	require.NoError(t, os.WriteFile(main, []byte(answered), 0o600))
	program := filepath.Join(dir, "lastseat")
	run(t, dir, "go", "build", "-o", program, ".")
	require.Contains(t, play(t, exec.Command(program)), "0 seats are free, 1 are sold")
	require.Contains(t, play(t, exec.Command(program, "-step"), "1", "2", "q"), "\n0 of 2 orders win.\n")
	require.Contains(t, text, "2 orders, and none of them wins")
}

// function returns the text of the function that begins with the line.
func function(t *testing.T, text, indent, line string) string {
	_, after, found := strings.Cut(text, "\n"+indent+line)
	require.True(t, found, line)
	body, _, found := strings.Cut(after, "\n"+indent+"}\n")
	require.True(t, found, line)
	return line + body + "\n" + indent + "}\n"
}

// lecturersModule returns the directory of a module with the files of the page.
func lecturersModule(t *testing.T, text string) string {
	dir := t.TempDir()
	files := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1)
	require.Len(t, files, 2)
	for i, name := range []string{"main.go", "main_test.go"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(files[i][1]), 0o600))
	}
	clone, err := filepath.Abs("..")
	require.NoError(t, err)
	sums, err := os.ReadFile("../go.sum")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600))
	run(t, dir, "go", "mod", "init", "example.com/lastseat")
	run(t, dir, "go", "mod", "edit", "-replace", "github.com/kprim/kprim="+clone)
	fetch(t, clone)
	run(t, dir, "go", "mod", "tidy")
	return dir
}

// fetch has the modules that the clone needs in the cache. The tests of the
// clone do not need all of them, and the lecturer's module is built offline.
func fetch(t *testing.T, clone string) {
	cmd := exec.Command("go", "mod", "download")
	cmd.Dir = clone
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func run(t *testing.T, dir string, command ...string) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%v: %s", command, out)
}

// question matches a text that ends with a question of a game.
var question = regexp.MustCompile(`(Which goes on\?|q leaves:) $`)

// play runs a program, and types a key at each question. It returns the text as
// a terminal shows it.
func play(t *testing.T, cmd *exec.Cmd, keys ...string) string {
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var screen bytes.Buffer
	for {
		if _, err := io.CopyN(&screen, stdout, 1); err != nil {
			break
		}
		if len(keys) > 0 && question.Match(screen.Bytes()) {
			line := []byte(keys[0] + "\n")
			keys = keys[1:]
			screen.Write(line)
			_, err := stdin.Write(line)
			require.NoError(t, err)
		}
	}
	require.NoError(t, cmd.Wait(), screen.String())
	require.Empty(t, keys, screen.String())
	return screen.String()
}

// shown puts the output below its command in the page.
func shown(t *testing.T, text, command, output string) string {
	before, after, found := strings.Cut(text, "$ "+command+"\n")
	require.True(t, found, command)
	_, after, found = strings.Cut(after, "```")
	require.True(t, found, command)
	return before + "$ " + command + "\n" + output + "```" + after
}
