package sysctl_test

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// A handler that gives up, as one with a timeout does, may leave a goroutine behind
// that still writes to its buffer. No other text is touched by it.
func TestBufferOfAHandlerThatGaveUpIsNotUsedAgain(t *testing.T) {
	for name, end := range map[string]func() (int, error){
		"an error":   func() (int, error) { return 0, context.DeadlineExceeded },
		"a panic":    func() (int, error) { panic("it gave up") },
		"no error":   func() (int, error) { return 0, nil },
		"some bytes": func() (int, error) { return 3, io.EOF },
	} {
		t.Run(name, func(t *testing.T) {
			var tree sysctl.Tree
			var late [][]byte
			_, err := tree.Register("",
				sysctl.Entry{Name: "secret", Mode: 0o600, Handler: reads(func(_ *sysctl.Request, p []byte) (int, error) {
					late = append(late, p)
					return end()
				})},
				sysctl.Entry{Name: "public", Mode: 0o644, Handler: reads(func(_ *sysctl.Request, p []byte) (int, error) {
					n := copy(p, "public\n")
					for _, p := range late {
						copy(p, "secret\n")
					}
					return n, io.EOF
				})})
			require.NoError(t, err)
			for range 20 {
				func() {
					defer func() { _ = recover() }()
					_, _ = tree.ReadFile(sysctl.Root, "secret")
				}()
				text, err := tree.ReadFile(sysctl.Nobody, "public")
				require.NoError(t, err)
				require.Equal(t, "public\n", string(text))
			}
		})
	}
}

// A handler that claims bytes that it has not set shows nothing of the entries
// that were read before.
func TestReaderThatSetsNothingShowsNoOtherText(t *testing.T) {
	var tree sysctl.Tree
	var secret sysctl.Var[string]
	secret.Store(strings.Repeat("secret", 100))
	_, err := tree.Register("",
		sysctl.Entry{Name: "secret", Mode: 0o600, Handler: wrap{sysctl.DoString(&secret, 1000)}},
		sysctl.Entry{Name: "idle", Mode: 0o644, Handler: reads(func(r *sysctl.Request, p []byte) (int, error) {
			if r.Pos > 0 {
				return 0, nil
			}
			r.Pos += 500
			return 500, nil
		})})
	require.NoError(t, err)
	for range 10 {
		_, err := tree.ReadFile(sysctl.Root, "secret")
		require.NoError(t, err)
		text, err := tree.ReadFile(sysctl.Nobody, "idle")
		require.NoError(t, err)
		require.Equal(t, make([]byte, 500), text)
	}
}

// An entry has its buffer again, but not after a reading that failed, and never with
// text in it.
func TestBufferOfAnEntryIsEmpty(t *testing.T) {
	var late []byte
	calls := 0
	tree, _ := treeWith(t, reads(func(_ *sysctl.Request, p []byte) (int, error) {
		require.Equal(t, make([]byte, len(p)), p)
		copy(p, "text\n")
		copy(late, "late\n")
		if calls++; calls%2 == 1 {
			late = p
			return 0, syscall.EAGAIN
		}
		return 5, io.EOF
	}))
	for range 10 {
		_, err := tree.ReadFile(sysctl.Root, "x")
		require.ErrorIs(t, err, syscall.EAGAIN)
		text, err := tree.ReadFile(sysctl.Root, "x")
		require.NoError(t, err)
		require.Equal(t, "text\n", string(text))
	}
}

// A caller owns the text that it has read.
func TestTextIsNotOverwrittenByTheNextRead(t *testing.T) {
	var s sysctl.Var[string]
	s.Store("first")
	tree, _ := treeWith(t, wrap{sysctl.DoString(&s, 64)})
	first, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	s.Store("other")
	_, err = tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.Equal(t, "first\n", string(first))
}
