//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// The tests of the memory model write and read plain variables, which nothing
// orders but the calls that they are about. With -race they fail if the order is
// lost.

func TestOrderOfTheCallsOfAHelper(t *testing.T) {
	for _, mode := range modes {
		var gate usermodehelper.Gate
		x := 1
		h := shell("exit 0")
		h.Gate = &gate
		h.Init = func(*os.ProcAttr) error { x++; return nil }
		h.Started = func(int) { x++ }
		h.Cleanup = func(usermodehelper.Result) { x++ }
		_, err := h.Exec(t.Context(), mode)
		require.NoError(t, err)
		require.NoError(t, gate.Disable(t.Context()))
		require.Equal(t, 4, x)
	}
}

func TestOrderOfTwoHelpersInOnePlace(t *testing.T) {
	gate := usermodehelper.Gate{Max: 1}
	x, done := 0, make(chan bool)
	for range 2 {
		h := shell("exit 0")
		h.Gate = &gate
		h.Init = func(*os.ProcAttr) error { x++; return nil }
		h.Cleanup = func(usermodehelper.Result) { done <- true }
		_, err := h.Exec(t.Context(), usermodehelper.NoWait)
		require.NoError(t, err)
	}
	<-done
	<-done
	require.Equal(t, 2, x)
}

// A Gate and an Output may be printed at any time.
func TestValuesMayBePrintedWhileTheyChange(t *testing.T) {
	gate := usermodehelper.Gate{Max: 1}
	out := new(usermodehelper.Output)
	done := make(chan bool)
	for range 3 {
		h := shell("echo x")
		h.Gate, h.Output = &gate, out
		h.Cleanup = func(usermodehelper.Result) { done <- true }
		_, err := h.Exec(t.Context(), usermodehelper.NoWait)
		require.NoError(t, err)
	}
	for left := 3; left > 0; {
		select {
		case <-done:
			left--
		default:
			_, _ = fmt.Fprintf(io.Discard, "%v %v", &gate, out)
		}
	}
}
