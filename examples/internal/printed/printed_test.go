package printed_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/printed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	linux  = "Linux 6.1\n\n# ps\nSW   a\nSW   b\nkernel: bye, all\n"
	header = "text\n\n| Linux prints | Go prints | why |\n|---|---|---|\n"
)

func TestTableOfTheReadmeChangesTheSession(t *testing.T) {
	got, err := printed.InGo(header+"| `SW   ` | `S    ` | memory |\n"+
		"| `kernel: bye, all` | `kernel: bye,` `kernel:  all` | two lines |\n\ntext", linux)
	require.NoError(t, err)
	require.Equal(t, "# ps\nS    a\nS    b\nkernel: bye,\nkernel:  all\n", got)
}

// Linux has two lines where the program has three.
func TestLinesBelowEachOtherAreOneDifference(t *testing.T) {
	got, err := printed.InGo(header+"| `SW   a` `SW   b` | `S    a` `a new line` `S    b` | why |\n", linux)
	require.NoError(t, err)
	require.Equal(t, "# ps\nS    a\na new line\nS    b\nkernel: bye, all\n", got)
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct{ readme, linux, want string }{
		"no description":   {header + "| `# ps` | `# w` | why |\n", "# ps\n", "no empty line"},
		"no table":         {"text\n", linux, "no table"},
		"no reason":        {header + "| `# ps` | `# w` | |\n", linux, "another form: | `# ps`"},
		"no backquotes":    {header + "| ps | w | why |\n", linux, "another form"},
		"nothing the same": {header + "| `# top` | `# w` | why |\n", linux, `did not print "# top"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := printed.InGo(c.readme, c.linux)
			require.ErrorContains(t, err, "printed: ")
			require.ErrorContains(t, err, c.want)
		})
	}
}
