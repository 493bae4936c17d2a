package explore_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestPlay(t *testing.T) {
	var out strings.Builder
	o, err := full.Play(strings.NewReader("2\n 1 \n3\nx\n\n1\n2\n"), &out, walkers(func(word string) error { return isWrong(word == "baab") }, 2, 2))
	require.NoError(t, err)
	require.Equal(t, "wrong", o.Fault)
	require.Equal(t, "2.1.1.2", o.Replay)
	both := "   1  a: step\n   2  b: step\nWhich goes on? "
	again := "One of these numbers: 1, 2\n" + both
	require.Equal(t, both+both+both+again+again+again+"   2  b: step\nWhich goes on? ", out.String())
}

// The goroutines that were not chosen end when the input does.
func TestPlayWithoutInput(t *testing.T) {
	o, err := full.Play(strings.NewReader("1\n"), io.Discard, walkers(right, 2, 2))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, []string{"a: step"}, o.Steps)
	broken := errors.New("broken")
	_, err = full.Play(iotest.ErrReader(broken), io.Discard, walkers(right, 2, 2))
	require.ErrorIs(t, err, broken)
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestPlayWithoutOutput(t *testing.T) {
	for left := range 100 {
		_, err := full.Play(strings.NewReader("3\n1\n1\n2\n2\n"), &brokenWriter{left}, walkers(right, 2, 2))
		require.ErrorIs(t, err, io.ErrClosedPipe)
	}
}

func TestPlayIsForAModel(t *testing.T) {
	require.Equal(t, "explore: the model is nil", message(t, func() { _, _ = full.Play(strings.NewReader(""), io.Discard, nil) }))
}
