package point

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

// The list has each point of the code, and no other, with its package.
func TestListIsThatOfTheCode(t *testing.T) {
	inCode := map[string]bool{}
	call := regexp.MustCompile(`point\.At\("([^"]+)"`)
	for _, pkg := range []string{"waitqueue", "kthread", "rwevent", "sysctl"} {
		files, err := filepath.Glob("../../" + pkg + "/*.go")
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, at := range call.FindAllSubmatch(text, -1) {
				inCode[pkg+": "+string(at[1])] = true
			}
		}
	}
	inList := map[string]bool{}
	names := map[string]bool{}
	for _, p := range All {
		require.False(t, names[p.Name], "two points are called %q", p.Name)
		names[p.Name] = true
		inList[p.Package+": "+p.Name] = true
	}
	require.Equal(t, inCode, inList)
}

func TestHook(t *testing.T) {
	var seen []any
	Hook(func(name string, subject any) { seen = append(seen, name, subject) })
	At("here", 7)
	Hook(nil)
	At("there", 8)
	require.Equal(t, []any{"here", 7}, seen)
}
