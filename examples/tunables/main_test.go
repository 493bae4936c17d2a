package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/clients"
)

// The test binary is the program too.
func TestMain(m *testing.M) {
	if os.Getenv("TUNABLES_RUNS") != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func transcript(t *testing.T) string {
	text, err := os.ReadFile("testdata/transcript.txt")
	require.NoError(t, err)
	return string(text)
}

func TestTranscript(t *testing.T) {
	var out strings.Builder
	require.NoError(t, clients.Session(&out, start))
	require.Equal(t, transcript(t), out.String())
}

func TestProgramPrintsTheTranscriptEveryTime(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for range 3 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "TUNABLES_RUNS=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, transcript(t), string(out))
	}
}

// The blocks of the README are parts of the transcript, and lines of the code.
func TestReadmeShowsTheTranscriptAndTheCode(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	code := ""
	for _, name := range []string{"daemon.go", "server.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		code += string(text)
	}
	shown := map[string]string{"console": transcript(t), "go": code}
	blocks := strings.Split(string(readme), "```")
	require.Len(t, blocks, 2*3+1)
	for i := 1; i < len(blocks); i += 2 {
		kind, text, _ := strings.Cut(blocks[i], "\n")
		for part := range strings.SplitSeq(text, "...\n") {
			require.Contains(t, shown[kind], part)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| .* \\| `(.*)` \\|$").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, rows, 7)
	for _, row := range rows {
		require.Contains(t, code, row[1])
	}
}
