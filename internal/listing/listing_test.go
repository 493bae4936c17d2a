package listing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/internal/listing"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

const program = `package p

import (
	"fmt"
)

// A T is a type.
type T struct {
	// a is a field.
	a int

	b int // counts
}

const n = 1

func (t T) Write() { fmt.Println(n) }

func Example() {
	T{}.Write()
	// Output:
	// 1
	// 2
}
`

func read(t *testing.T, text string) (*listing.File, error) {
	name := filepath.Join(t.TempDir(), "p.go")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return listing.Read(name)
}

func TestLinesOfAFile(t *testing.T) {
	f, err := read(t, program)
	require.NoError(t, err)
	require.Equal(t, program, f.Text)
	require.Equal(t, "\t// 1\n\t// 2", f.Output)
	for name, lines := range map[string]int{"T": 4, "n": 1, "Write": 1, "Example": 0, "": 0} {
		require.Equal(t, lines, f.Lines(func(n string) bool { return n == name }), name)
	}
	require.Equal(t, 6, f.Lines(func(string) bool { return true }))
}

func TestOutputInAnyOrder(t *testing.T) {
	f, err := read(t, strings.Replace(program, "Output:", "Unordered output:", 1))
	require.NoError(t, err)
	require.Equal(t, "\t// 1\n\t// 2", f.Output)
}

func TestFileThatCannotBeRead(t *testing.T) {
	_, err := listing.Read(filepath.Join(t.TempDir(), "none.go"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = read(t, "no Go")
	require.ErrorContains(t, err, "p.go:1:1: expected 'package'")
}

func TestFileWithoutAnExample(t *testing.T) {
	f, err := read(t, "package p\n")
	require.NoError(t, err)
	require.Empty(t, f.Output)
}
