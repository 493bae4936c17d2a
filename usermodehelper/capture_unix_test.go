//go:build linux || darwin || freebsd

package usermodehelper

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A reader that comes too late, on a busy machine, loses nothing.
func TestOutputIsWholeIfTheReaderComesLate(t *testing.T) {
	out := new(Output)
	c, w, err := newCapture(out, "Output", nil)
	require.NoError(t, err)
	_, err = w.WriteString("whole")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, c.r.SetReadDeadline(time.Unix(1, 0)))
	c.start() // finds the deadline before the text
	c.stop(t.Context())
	require.Equal(t, "whole", out.String())
	require.False(t, out.Cut())
}

// refiller is a Writer that puts as many bytes into the pipe as were read from it.
type refiller struct{ pipe *os.File }

func (r refiller) Write(text []byte) (int, error) { return r.pipe.Write(text) }

// A process outside of the group can fill the pipe as fast as it is read.
func TestPipeThatIsNeverEmptyIsReadForAWhile(t *testing.T) {
	out := &Output{Max: -1}
	c, w, err := newCapture(out, "Output", nil)
	require.NoError(t, err)
	out.Writer = refiller{w}
	_, err = w.Write(make([]byte, chunk))
	require.NoError(t, err)
	c.endReading()
	c.start()
	limit, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c.stop(limit)
	require.NoError(t, limit.Err())
	require.Equal(t, "[cut: 1048576 bytes more][cut: it was held open]", out.String())
	require.NoError(t, w.Close())
}
