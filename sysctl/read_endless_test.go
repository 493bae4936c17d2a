package sysctl_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// Readers that never end by themselves, and the errors that say so.
var endlessReaders = map[string]struct {
	read  func(r *sysctl.Request, p []byte) (int, error)
	errno syscall.Errno
	text  string
}{
	"a reader that ignores r.Pos": {
		func(_ *sysctl.Request, p []byte) (int, error) { return copy(p, "text\n"), nil },
		syscall.EIO, "the handler gave 5 bytes and moved r.Pos from 0 to 0, not forward",
	},
	"a reader that ignores r.Pos and fills the buffer": {
		func(_ *sysctl.Request, p []byte) (int, error) { clear(p); return len(p), nil },
		syscall.EIO, "the handler gave 4096 bytes and moved r.Pos from 0 to 0, not forward",
	},
	"a reader that goes back": {
		func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos = map[int64]int64{0: 5, 5: 3, 3: 5}[r.Pos]
			return copy(p, "text\n"), nil
		},
		syscall.EIO, "the handler gave 5 bytes and moved r.Pos from 5 to 3, not forward",
	},
	"a reader that begins again": {
		func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos = 4 - r.Pos
			return copy(p, "text"), nil
		},
		syscall.EIO, "the handler gave 4 bytes and moved r.Pos from 4 to 0, not forward",
	},
	"a reader that goes below 0": {
		func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos = -1
			return copy(p, "text\n"), nil
		},
		syscall.EIO, "the handler moved the position to -1",
	},
	"a reader that goes below 0 and ends": {
		func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos = -1
			return copy(p, "text\n"), io.EOF
		},
		syscall.EIO, "the handler moved the position to -1",
	},
	"a reader that goes to the end of the type": {
		func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos = math.MaxInt64
			return copy(p, "text\n"), nil
		},
		syscall.EIO, "the handler gave 5 bytes and moved r.Pos from 9223372036854775807 to 9223372036854775807",
	},
	"a reader that fills each buffer": {
		func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos += int64(len(p))
			return len(p), nil
		},
		syscall.ENOMEM, "the handler gave 4194304 bytes and no end",
	},
	"a reader that gives parts without end": {
		func(r *sysctl.Request, p []byte) (int, error) {
			n := min(1000, len(p))
			r.Pos += int64(n)
			return n, nil
		},
		syscall.ENOMEM, "bytes and no end",
	},
	"a reader that moves less than it gives": {
		func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos++
			return max(1, len(p)-1), nil
		},
		syscall.ENOMEM, "bytes and no end",
	},
	"a reader that gives less than nothing": {
		func(r *sysctl.Request, p []byte) (int, error) { return -1, nil },
		syscall.EIO, "the handler says that it has done -1 bytes of 4096",
	},
	"a reader that gives more than there is room for": {
		func(r *sysctl.Request, p []byte) (int, error) { return len(p) + 1, nil },
		syscall.EIO, "the handler says that it has done 4097 bytes of 4096",
	},
}

func TestReaderThatNeverEndsIsAnErrorThatSaysWhy(t *testing.T) {
	for name, c := range endlessReaders {
		t.Run(name, func(t *testing.T) {
			most := 0
			tree, header := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
				most = max(most, len(p))
				return c.read(r, p)
			}))
			_, whole := tree.ReadFile(sysctl.Nobody, "x")
			_, view := fs.ReadFile(tree.FS(sysctl.Nobody), "x")
			_, opened := tree.FS(sysctl.Nobody).Open("x")
			for _, err := range []error{whole, view, opened} {
				require.ErrorIs(t, err, c.errno)
				require.ErrorContains(t, err, "read x: ")
				require.ErrorContains(t, err, c.text)
			}
			require.LessOrEqual(t, most, 4<<20)
			header.Unregister() // has nothing to wait for
		})
	}
}

// The loop gets no text from such a handler. It ends with its context, and with
// its entry.
func TestChangesOfAReaderThatNeverEndsEnd(t *testing.T) {
	for name, c := range endlessReaders {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tree, header := treeWith(t, reads(c.read))
				for _, end := range []string{"the context", "the entry"} {
					ctx, cancel := context.WithCancel(t.Context())
					changes := tree.Changes(ctx, "x")
					var loop sync.WaitGroup
					loop.Go(func() {
						for range changes {
							t.Error("there is no text")
						}
					})
					require.NoError(t, tree.Notify("x"))
					synctest.Wait()
					if end == "the entry" {
						header.Unregister()
					} else {
						cancel()
					}
					loop.Wait()
					cancel()
				}
			})
		})
	}
}

// A context that ends in the middle of a long text ends it between two calls.
func TestChangesLookAtTheirContextBetweenTwoCallsOfTheHandler(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
		if calls++; calls == 3 {
			cancel()
		}
		r.Pos++
		return copy(p, "x"), nil
	}))
	changes := tree.Changes(ctx, "x")
	require.NoError(t, tree.Notify("x"))
	for range changes {
		t.Error("there is no text")
	}
	require.Equal(t, 3, calls)
}

// A handler that tells of a change whenever it is read never lets the loop
// sleep. The loop still ends.
func TestChangesOfAReaderThatNotifiesEnd(t *testing.T) {
	for _, fails := range []error{nil, syscall.EAGAIN} {
		var tree sysctl.Tree
		calls := 0
		ctx, cancel := context.WithCancel(t.Context())
		header, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: reads(func(*sysctl.Request, []byte) (int, error) {
			if calls++; calls == 100 {
				cancel()
			}
			return 0, errors.Join(fails, tree.Notify("x"))
		})})
		require.NoError(t, err)
		changes := tree.Changes(ctx, "x")
		require.NoError(t, tree.Notify("x"))
		for _, text := range changes {
			require.Empty(t, text)
		}
		require.Equal(t, 100, calls)
		header.Unregister()
	}
}

// A busyContext has another goroutine that writes whenever the context is looked at.
type busyContext struct {
	context.Context
	write func()
}

func (c busyContext) Err() error {
	c.write()
	return c.Context.Err()
}

func TestChangesEndThoughAnotherGoroutineAlwaysWrites(t *testing.T) {
	var v sysctl.Var[int32]
	tree, _ := treeWith(t, sysctl.DoIntVec(&v))
	inner, cancel := context.WithCancel(t.Context())
	defer cancel()
	writes := 0
	ctx := busyContext{inner, func() {
		if writes++; writes > 1000 {
			t.Fatal("the loop goes on")
		}
		require.NoError(t, tree.Notify("x"))
	}}
	changes := tree.Changes(ctx, "x")
	require.NoError(t, tree.Notify("x"))
	for range changes {
		cancel()
	}
}

// A log of its own readings never ends. It has too many parts long before it has 4 MiB.
func TestTextThatGrowsWithEachReadHasTooManyParts(t *testing.T) {
	for _, line := range []string{"x", "read by root\n"} {
		var log []byte
		calls := 0
		tree, header := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
			calls++
			log = append(log, line...)
			n := copy(p, log[r.Pos:])
			r.Pos += int64(n)
			return n, nil
		}))
		_, err := tree.ReadFile(sysctl.Root, "x")
		require.ErrorIs(t, err, syscall.ENOMEM)
		require.ErrorContains(t, err, fmt.Sprintf("the handler gave 1025 parts of together %d bytes and no end", 1025*len(line)))
		require.Equal(t, 1025, calls)
		header.Unregister()
	}
}

// However its parts change, a handler is not called for ever.
func TestTableThatAlwaysChangesIsGivenUp(t *testing.T) {
	calls := 0
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
		calls++
		switch r.Pos++; r.Pos {
		case 1001:
			return 0, nil
		case 1000:
			return copy(p, fmt.Sprintln(calls)), nil
		}
		return copy(p, "a row\n"), nil
	}))
	_, err := tree.ReadFile(sysctl.Root, "x")
	require.ErrorIs(t, err, syscall.EIO)
	require.Less(t, calls, 3*32*1024)
}
