//go:build linux || darwin || freebsd

package usermodehelper

import (
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
