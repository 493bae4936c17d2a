//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/readmes"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// The test vets and runs the first program of the README. The README shows its whole output.
func TestReadmeProgramPrintsTheOutputOfTheReadme(t *testing.T) {
	program(t, "bash")
	mount(t, vfs.Static(nil), procfs.Options{}) // skips without FUSE
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(block(t, "go")), 0o600))
	for _, do := range []string{"vet", "run"} {
		out, err := exec.Command("go", do, file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		if do == "run" {
			require.Equal(t, block(t, "text"), string(out))
		}
	}
}

func readme(t testing.TB) string {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(text)
}

// block returns the README's only block of code in a language.
func block(t testing.TB, lang string) string {
	found := regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	require.Len(t, found, 1)
	return found[0][1]
}

// The README has the texts of the three reasons, which a user looks for.
func TestReadmeHasTheReasons(t *testing.T) {
	source, err := os.ReadFile("mount_linux.go")
	require.NoError(t, err)
	reasons := regexp.MustCompile(`&unsupported\{"([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	require.Len(t, reasons, 3)
	for _, r := range reasons {
		require.Contains(t, readme(t), r[1])
	}
}

func TestReadmeHasShortParagraphs(t *testing.T) { require.Empty(t, readmes.Long(readme(t))) }

// Each command of the README that runs a test names one.
func TestReadmeCommandsFindTheirTests(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tests.Write(text)
	}
	for _, m := range regexp.MustCompile(`-run (\w+)`).FindAllStringSubmatch(readme(t), -1) {
		require.True(t, regexp.MustCompile(`\nfunc Test\w*`+m[1]).MatchString(tests.String()), m[0])
	}
}
