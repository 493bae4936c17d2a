package readers_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program returns the path of a program. Without it, the test is skipped, or fails if the
// environment variable is 1.
func program(t testing.TB, name, variable string) string {
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv(variable) == "1":
		t.Fatalf("%s=1, but %v", variable, err)
	default:
		t.Skipf("skipped: %v", err)
	}
	return path
}

// read returns the text of a file.
func read(t testing.TB, path string) []byte {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}
