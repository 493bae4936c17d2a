//go:build !(386 || arm || mips || mipsle)

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

// The session of the README is typed into three terminals. Each screen shows the lines of the
// README, and no other lines. Process numbers may differ from the README. But where the
// README has one number twice, the screens have one number too.
func TestReadmeIsWhatTheTerminalsShow(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("go"); err != nil {
		unable(t, "go is not installed")
	}
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	enter := namespace(t)
	s := session{T: t, numbers: map[string]string{}, seen: map[string]string{}, terminals: map[string]*terminal{}}
	for _, name := range []string{"S", "A", "B"} {
		s.terminals[name] = open(t, name, enter(root)...)
	}
	lines := sessionOf(t, "README.md")
	require.Greater(t, len(lines), 80)
	for _, line := range lines {
		term, mark, text := line[:1], line[1:2], strings.TrimPrefix(line[2:], " ")
		switch {
		case mark == "#":
			s.types(term, text)
		case key.MatchString(text):
			s.terminals[term].press(t, string(text[1]&0x1f))
			s.shows(term, text)
		default:
			s.shows(term, text)
		}
	}
	for name := range s.terminals {
		s.waits(name)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "procfs-demo-"+s.helperDir()))
	require.NoError(t, err)
	require.Empty(t, left)
}

// namespace makes a mount namespace with an empty /mnt, where the README mounts. It ends
// with the test. The commands that enter returns run a program in it, in a directory.
func namespace(t *testing.T) (enter func(dir string) []string) {
	cmd := exec.Command("unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt && echo ready && exec cat")
	end, err := cmd.StdinPipe()
	require.NoError(t, err)
	holder := start(t, cmd)
	t.Cleanup(func() { _ = end.Close(); holder.Wait(t) })
	holder.waitFor(t, "ready")
	pid := strconv.Itoa(holder.Process.Pid)
	return func(dir string) []string {
		return []string{"nsenter", "-m", "-t", pid, "sh", "-c", `cd "$0" && exec "$@"`, dir}
	}
}

// sessionOf returns the lines of the session: those with the name of a terminal and a mark.
// Behind # is a command, and behind | is a line of the screen.
func sessionOf(t *testing.T, path string) (lines []string) {
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	inside := false
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		switch line := scanner.Text(); {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside:
			require.Regexp(t, `^[SAB]([#|] .+|\|)$`, line)
			lines = append(lines, line)
		}
	}
	return lines
}

// A session compares the README with screens.
type session struct {
	*testing.T
	terminals map[string]*terminal
	numbers   map[string]string // from numbers of the README to numbers on the screens
	seen      map[string]string // the text of each screen that has been compared
}

// types types a command when its terminal shows a new prompt, and no other new text.
func (s session) types(name, command string) {
	s.waits(name)
	for number, real := range s.numbers {
		command = regexp.MustCompile(`\b`+number+`\b`).ReplaceAllString(command, real)
	}
	s.terminals[name].press(s.T, command+"\n")
	s.seen[name] += name + "# " + command + "\n"
}

// waits waits until the terminal waits for a command.
func (s session) waits(name string) {
	s.await(name, name+"# ", func(rest string) bool { return rest == name+"# " })
}

// number finds the numbers in a quoted line: of processes, and of the helper's directory.
var number = regexp.MustCompile(`(\\\(|procfs-demo-)([0-9]+)`)

// shows waits for a line on the screen.
func (s session) shows(name, line string) {
	var first []string // numbers of the README that appear for the first time
	pattern := number.ReplaceAllStringFunc(regexp.QuoteMeta(line), func(found string) string {
		part := number.FindStringSubmatch(found)
		if real, ok := s.numbers[part[2]]; ok {
			return part[1] + real
		}
		first = append(first, part[2])
		return part[1] + "([0-9]+)"
	})
	var match []string
	s.await(name, line, func(rest string) bool {
		match = regexp.MustCompile("^" + pattern + "\n").FindStringSubmatch(rest)
		return match != nil
	})
	for i, digits := range first {
		s.numbers[digits] = match[i+1]
	}
	s.seen[name] += match[0]
}

// await waits until the rest of a screen, which has not been compared, is right.
func (s session) await(name, what string, right func(rest string) bool) {
	s.Helper()
	term := s.terminals[name]
	defer func() {
		if s.Failed() {
			s.Logf("terminal %s shows %q", name, strings.TrimPrefix(term.screen(), s.seen[name]))
		}
	}()
	processes.Eventually(s.T, name+": "+what, func() bool {
		rest, ok := strings.CutPrefix(term.screen(), s.seen[name])
		return ok && right(rest)
	})
}

// helperDir returns the number in the name of the helper's directory.
func (s session) helperDir() string {
	m := regexp.MustCompile(`procfs-demo-([0-9]+)/`).FindStringSubmatch(s.seen["S"])
	require.NotNil(s, m)
	return m[1]
}

// A paragraph has five lines at most, and each link leads to a file.
func TestReadmeIsEasyToRead(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	prose := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(string(text), "")
	for paragraph := range strings.SplitSeq(prose, "\n\n") {
		if !strings.HasPrefix(paragraph, "|") {
			require.LessOrEqual(t, strings.Count(strings.TrimSpace(paragraph), "\n"), 4, paragraph)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(prose, -1) {
		_, err := os.Stat(link[1])
		require.NoError(t, err)
	}
}
