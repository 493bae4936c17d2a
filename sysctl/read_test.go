package sysctl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/observed"
	"github.com/kprim/kprim/sysctl"
)

// A handmade handler is made of two functions. A nil one does nothing.
type handmade struct {
	read, write func(r *sysctl.Request, p []byte) (int, error)
}

func (h handmade) Read(r *sysctl.Request, p []byte) (int, error) {
	if h.read == nil {
		return 0, nil
	}
	return h.read(r, p)
}

func (h handmade) Write(r *sysctl.Request, p []byte) (int, error) {
	if h.write == nil {
		r.Pos += int64(len(p))
		return len(p), nil
	}
	return h.write(r, p)
}

func reads(read func(r *sysctl.Request, p []byte) (int, error)) handmade { return handmade{read: read} }

// treeWith returns a tree with one entry, x.
func treeWith(t *testing.T, h sysctl.Handler) (*sysctl.Tree, *sysctl.Header) {
	tree := new(sysctl.Tree)
	header, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: h})
	require.NoError(t, err)
	return tree, header
}

// Readers that never end by themselves, and what is said of them.
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

// A wrapped handler without data panics when it first reads or stores a value.
func TestWrappedHandlerWithoutDataPanics(t *testing.T) {
	for name, c := range map[string]struct {
		h    sysctl.Handler
		text string
	}{
		"Int": {sysctl.DoIntVec((*sysctl.Var[int32])(nil)), "1"}, "Uint": {sysctl.DoUint(nil), "1"}, "String": {sysctl.DoString(nil, 9), "1"},
		"whole": {sysctl.Whole(nil, 0, 9), "0"}, "Duration": {sysctl.Bounded(nil, 0, 9), "1ns"}, "Bitmap": {sysctl.DoLargeBitmap(nil), "1"},
	} {
		tree, _ := treeWith(t, wrap{c.h})
		require.Panics(t, func() { _, _ = tree.ReadFile(sysctl.Root, "x") }, name)
		require.Panics(t, func() { _ = tree.WriteFile(sysctl.Root, "x", []byte(c.text)) }, name)
	}
	var s sysctl.Var[string]
	tree, _ := treeWith(t, wrap{sysctl.DoString(&s, 0)})
	require.Panics(t, func() { _ = tree.WriteFile(sysctl.Root, "x", []byte("1")) })
}

// A position that moves without any bytes, and an error that is not one, end a
// text like any other.
func TestReaderThatEndsInItsOwnWayIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		read func(r *sysctl.Request, p []byte) (int, error)
		want string
	}{
		"no bytes at all": {func(r *sysctl.Request, p []byte) (int, error) { return 0, nil }, ""},
		"no bytes, and a position that moves": {func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos += 7
			return 0, nil
		}, ""},
		"the end with the text": {func(r *sysctl.Request, p []byte) (int, error) { return copy(p, "text\n"), io.EOF }, "text\n"},
		"the end after the text": {func(r *sysctl.Request, p []byte) (int, error) {
			n, err := strings.NewReader("text\n").ReadAt(p, r.Pos)
			r.Pos += int64(n)
			return n, err
		}, "text\n"},
		"a number of records": {func(r *sysctl.Request, p []byte) (int, error) {
			if r.Pos == 3 {
				return 0, nil
			}
			r.Pos++ // counts records, not bytes
			return copy(p, fmt.Sprintln("record", r.Pos)), nil
		}, "record 1\nrecord 2\nrecord 3\n"},
		"the largest text": {func(r *sysctl.Request, p []byte) (int, error) {
			n := copy(p[:min(len(p), 4<<20-1-int(r.Pos))], strings.Repeat("x", 4<<20-1))
			r.Pos += int64(n)
			return n, nil
		}, strings.Repeat("x", 4<<20-1)},
	} {
		t.Run(name, func(t *testing.T) {
			tree, _ := treeWith(t, reads(c.read))
			text, err := tree.ReadFile(sysctl.Root, "x")
			require.NoError(t, err)
			require.True(t, c.want == string(text), "%.40q", text)
			buf := make([]byte, 100)
			n, err := open(t, tree, "x").Read(buf)
			require.Equal(t, c.want == "", err == io.EOF, "%v", err)
			require.True(t, strings.HasPrefix(c.want, string(buf[:n])))
		})
	}
}

// A File shows what the handler does, as a system call does.
func TestFileShowsAReaderThatNeverMoves(t *testing.T) {
	tree, _ := treeWith(t, observed.Useless{})
	f := open(t, tree, "x")
	for range 3 {
		n, err := f.Read([]byte("12345678"))
		require.NoError(t, err)
		require.Equal(t, 8, n)
		pos, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.Zero(t, pos)
	}
}

// Writers that say what cannot be.
func TestWriterThatCountsWrongIsAnErrorThatSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		write func(r *sysctl.Request, p []byte) (int, error)
		text  string
	}{
		"nothing": {func(*sysctl.Request, []byte) (int, error) { return 0, nil }, "the handler used none of the text"},
		"nothing, and a position that moves": {func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos += int64(len(p))
			return 0, nil
		}, "the handler used none of the text"},
		"less than nothing": {func(*sysctl.Request, []byte) (int, error) { return -1, nil }, "the handler says that it has done -1 bytes of 5"},
		"too much":          {func(_ *sysctl.Request, p []byte) (int, error) { return len(p) + 1, nil }, "the handler says that it has done 6 bytes of 5"},
		"a position below 0": {func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos = -1
			return len(p), nil
		}, "the handler moved the position to -1"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, header := treeWith(t, handmade{write: c.write})
			err := tree.WriteFile(sysctl.Root, "x", []byte("text\n"))
			require.ErrorIs(t, err, syscall.EIO)
			require.EqualError(t, err, "write x: "+c.text+": "+syscall.EIO.Error())
			f := open(t, tree, "x")
			_, err = f.Write([]byte("text\n"))
			require.Error(t, err)
			pos, err := f.Seek(0, io.SeekCurrent)
			require.NoError(t, err)
			require.GreaterOrEqual(t, pos, int64(0))
			header.Unregister()
		})
	}
}

// A call that ends by a panic is over: no lock is held and nothing waits for it.
// A write may have stored something before, so it is a change.
func TestHandlerThatPanicsLeavesNothingHeld(t *testing.T) {
	tree, header := treeWith(t, panicky{})
	f, other := open(t, tree, "x"), open(t, tree, "x")
	p := make([]byte, 8)
	for range 2 {
		require.Panics(t, func() { _, _ = f.Read(p) })
		require.Panics(t, func() { _, _ = f.ReadAt(p, 0) })
		require.Panics(t, func() { _, _ = tree.ReadFile(sysctl.Root, "x") })
		require.Panics(t, func() { _, _ = tree.FS(sysctl.Root).Open("x") })
		require.False(t, isChanged(other))
		for _, write := range []func(){
			func() { _, _ = f.Write(p) }, func() { _, _ = f.WriteAt(p, 0) }, func() { _ = tree.WriteFile(sysctl.Root, "x", p) },
		} {
			require.Panics(t, write)
			require.True(t, isChanged(other))
		}
	}
	_, err := f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	changes := tree.Changes(t.Context(), "x")
	require.NoError(t, tree.Notify("x"))
	require.Panics(t, func() {
		for range changes {
			t.Error("there is no text")
		}
	})
	gone := make(chan struct{})
	go func() {
		header.Unregister()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("a call is still in progress")
	}
}

// As a failed require in a handler of a test ends its goroutine.
func TestHandlerThatEndsItsGoroutineLeavesNothingHeld(t *testing.T) {
	goexit := func(*sysctl.Request, []byte) (int, error) {
		runtime.Goexit()
		return 0, nil
	}
	tree, header := treeWith(t, handmade{goexit, goexit})
	f := open(t, tree, "x")
	changes := tree.Changes(t.Context(), "x")
	for _, call := range []func(){
		func() { _, _ = f.Read(make([]byte, 1)) }, func() { _, _ = f.Write(make([]byte, 1)) },
		func() { _, _ = tree.ReadFile(sysctl.Root, "x") }, func() { _ = tree.WriteFile(sysctl.Root, "x", make([]byte, 1)) },
		func() {
			for range changes {
				t.Error("there is no text")
			}
		},
	} {
		var all sync.WaitGroup
		all.Add(1)
		go func() {
			defer all.Done()
			call()
			t.Error("it comes back")
		}()
		all.Wait()
	}
	header.Unregister()
}

// The ways to wrap a handler that a program may choose. None says which handler
// it wraps.
type (
	wrap       struct{ sysctl.Handler }
	wrapTwice  struct{ wrap }
	wrapPtr    struct{ *wrapTwice }
	copying    struct{ sysctl.Handler }
	ownRequest struct{ sysctl.Handler }
)

// A copying wrapper passes on a copy of the Request.
func (w copying) Read(r *sysctl.Request, p []byte) (int, error) {
	c := *r
	n, err := w.Handler.Read(&c, p)
	r.Pos = c.Pos
	return n, err
}

// An ownRequest wrapper passes on a Request of its own.
func (w ownRequest) Read(r *sysctl.Request, p []byte) (int, error) {
	c := sysctl.Request{Pos: r.Pos, Cred: r.Cred}
	n, err := w.Handler.Read(&c, p)
	r.Pos = c.Pos
	return n, err
}

func wraps(h sysctl.Handler) map[string]sysctl.Handler {
	deep := h
	for range 20 {
		deep = wrap{deep}
	}
	return map[string]sysctl.Handler{
		"itself": h, "wrap": wrap{h}, "wrapTwice": wrapTwice{wrap{h}}, "wrapPtr": &wrapPtr{&wrapTwice{wrap{h}}},
		"twenty": deep, "copying": copying{wrap{copying{h}}},
	}
}

// The value changes between any two reads of the handler, and each time to a text
// of another length. A part of the new text behind the old one would be torn.
func TestWrappedStringIsReadWholeThoughItChangesBetweenTwoCalls(t *testing.T) {
	kinds := map[string]func(*sysctl.Var[string]) sysctl.Handler{
		"DoString": func(s *sysctl.Var[string]) sysctl.Handler { return sysctl.DoString(s, 1<<20) },
		"Var":      func(s *sysctl.Var[string]) sysctl.Handler { return s },
		"Func":     func(s *sysctl.Var[string]) sysctl.Handler { return sysctl.Func(s.Load) },
	}
	for kind, handler := range kinds {
		for name := range wraps(observed.Useless{}) {
			t.Run(kind+" "+name, func(t *testing.T) {
				var s sysctl.Var[string]
				texts := []string{"ab", "ABCDEFGH", "1234", strings.Repeat("long", 3000)}
				i := 0
				change := func() { i++; s.Store(texts[i%len(texts)]) }
				change()
				outer := wraps(handler(&s))[name]
				tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
					defer change()
					return outer.Read(r, p)
				}))
				for range 100 {
					text, err := tree.ReadFile(sysctl.Root, "x")
					require.NoError(t, err)
					require.Contains(t, texts, strings.TrimSuffix(string(text), "\n"))
				}
			})
		}
	}
}

// A handler that reads from a position of a text that changes: with a Request of
// its own, or without any handler of the package.
func TestTextThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	var s sysctl.Var[string]
	for name, h := range map[string]sysctl.Handler{
		"a request of its own": ownRequest{sysctl.DoString(&s, 64)},
		"handmade":             fromPosition(&s),
	} {
		t.Run(name, func(t *testing.T) {
			for changes := range 15 {
				s.Store("ab")
				calls := 0
				tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
					calls++
					n, err := h.Read(r, p)
					if calls <= 2*changes { // after the first part of an attempt, and back before the next one
						s.Store([]string{"ab", "ABCDEFGH"}[calls%2])
					}
					return n, err
				}))
				text, err := tree.ReadFile(sysctl.Root, "x")
				require.NoError(t, err)
				require.Contains(t, []string{"ab\n", "ABCDEFGH\n"}, string(text), "%d changes", changes)
			}
		})
	}
}

// fromPosition reads from r.Pos of the present text, as a program may write it.
func fromPosition(s *sysctl.Var[string]) sysctl.Handler { return fromPositionAnd(s, "\n") }

func fromPositionAnd(s *sysctl.Var[string], end string) sysctl.Handler {
	return reads(func(r *sysctl.Request, p []byte) (int, error) {
		text := s.Load() + end
		n := copy(p, text[min(int(r.Pos), len(text)):])
		r.Pos += int64(n)
		return n, nil
	})
}

// One goroutine alternates a short and a long text, as fast as it can.
func TestHammerTextsAreNeverTorn(t *testing.T) {
	var s sysctl.Var[string]
	handlers := wraps(sysctl.DoString(&s, 64))
	handlers["own request"] = ownRequest{sysctl.DoString(&s, 64)}
	handlers["fromPosition"] = fromPosition(&s)
	handlers["without a newline"] = fromPositionAnd(&s, "")
	texts := []string{"ab", "ABCDEFGH", ""}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			s.Store("ab")
			writes := new(sysctl.Tree)
			_, err := writes.Register("", sysctl.Entry{Name: "x", Mode: 0o200, Handler: sysctl.DoString(&s, 64)})
			require.NoError(t, err)
			tree, _ := treeWith(t, h)
			var over atomic.Bool
			var writer sync.WaitGroup
			writer.Go(func() {
				for i := 0; !over.Load(); i++ {
					text := texts[i%3]
					if i%1000 >= 50 {
						s.Store(text)
					} else if err := writes.WriteFile(sysctl.Root, "x", []byte(text+"\n")); err != nil {
						t.Error(err)
					}
				}
			})
			view := tree.FS(sysctl.Nobody)
			for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
				for _, read := range []func() ([]byte, error){
					func() ([]byte, error) { return tree.ReadFile(sysctl.Root, "x") },
					func() ([]byte, error) { return fs.ReadFile(view, "x") },
				} {
					text, err := read()
					if err != nil || !slices.Contains(texts, strings.TrimSuffix(string(text), "\n")) {
						over.Store(true)
						t.Fatalf("%q %v", text, err)
					}
				}
			}
			over.Store(true)
			writer.Wait()
		})
	}
}

// A text that is there only once is gone when ReadFile looks for the same parts again.
func TestPartsThatComeOnceAreNotJoined(t *testing.T) {
	queue := []string{"one\n", "two\n", "three\n"}
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (n int, err error) {
		if len(queue) > 0 {
			n, queue = copy(p, queue[0]), queue[1:]
			r.Pos += int64(n)
		}
		return n, nil
	}))
	text, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.Empty(t, text)
}

// A handler of parts may keep where it is, and begin again at position 0.
func TestPartsAreJoined(t *testing.T) {
	var rest []string
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (n int, err error) {
		if r.Pos == 0 {
			rest = []string{"one\n", "two\n", "three\n"}
		}
		if len(rest) > 0 {
			n, rest = copy(p, rest[0]), rest[1:]
			r.Pos += int64(n)
		}
		return n, nil
	}))
	for range 20 {
		text, err := tree.ReadFile(sysctl.Root, "x")
		require.NoError(t, err)
		require.Equal(t, "one\ntwo\nthree\n", string(text))
	}
}

// Between the two parts the value was empty for a moment, and then stays empty.
func TestTextThatBecomesEmptyIsNotTorn(t *testing.T) {
	values := []string{"ab", "ABCDEFGH", ""}
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
		n := copy(p, values[0][min(int(r.Pos), len(values[0])):])
		r.Pos += int64(n)
		values = values[min(1, len(values)-1):]
		return n, nil
	}))
	text, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.Empty(t, text)
}

// Each reading meets the short text at first and the long one behind it.
func TestWriterInStepWithTheReaderTearsNothing(t *testing.T) {
	for range 200 {
		var s sysctl.Var[string]
		s.Store("ab")
		h := fromPosition(&s)
		tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
			first := r.Pos == 0
			n, err := h.Read(r, p)
			if s.Store("ab"); first {
				s.Store("ABCDEFGH")
			}
			return n, err
		}))
		for range 3 {
			text, err := tree.ReadFile(sysctl.Root, "x")
			require.NoError(t, err)
			require.Contains(t, []string{"ab\n", "ABCDEFGH\n"}, string(text))
		}
	}
}

// The writer is faster than the handler: no two calls see the same value, and most see
// a longer text than the call before.
func TestHandlerThatIsSlowerThanItsWriterTearsNothing(t *testing.T) {
	texts := []string{"ab", "abab", "ababab", "abababab", "ababababab", ""}
	rng := rand.New(rand.NewPCG(1, 2))
	var s sysctl.Var[string]
	for _, next := range []func(i int) int{
		func(i int) int { return i % len(texts) },
		func(i int) int { return i % 5 },
		func(int) int { return rng.IntN(len(texts)) },
	} {
		calls := 0
		h := fromPosition(&s)
		tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
			calls++
			s.Store(texts[next(calls)])
			return h.Read(r, p)
		}))
		for range 300 {
			text, err := tree.ReadFile(sysctl.Root, "x")
			require.NoError(t, err)
			require.Contains(t, texts, strings.TrimSuffix(string(text), "\n"))
		}
	}
}

// A text in parts that is never the same twice is an error, not a mixture.
func TestPartsThatAlwaysChangeAreAnError(t *testing.T) {
	calls := 0
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
		if r.Pos == 3 {
			return 0, nil
		}
		calls++
		r.Pos++
		return copy(p, fmt.Sprintln(calls)), nil
	}))
	for range 2 {
		text, err := tree.ReadFile(sysctl.Root, "x")
		require.ErrorIs(t, err, syscall.EIO)
		require.ErrorContains(t, err, "read x: the handler gave its text in several parts, and other parts with each reading")
		require.Empty(t, text)
	}
	require.Less(t, calls, 4000)
}

// A wrapper may give parts of a text that it has begun to read. None of them is of
// another value, so no attempt fails.
type inTens struct{ sysctl.Handler }

func (h inTens) Read(r *sysctl.Request, p []byte) (int, error) {
	return h.Handler.Read(r, p[:min(len(p), 10)])
}

func TestPartsOfOneValueAreNoMixture(t *testing.T) {
	var s sysctl.Var[string]
	i := 0
	h := inTens{sysctl.DoString(&s, 100)}
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
		i++
		s.Store(strings.Repeat("abcdefg"[i%7:i%7+1], 40+i%7))
		return h.Read(r, p)
	}))
	for range 100 {
		text, err := tree.ReadFile(sysctl.Root, "x")
		require.NoError(t, err)
		require.Equal(t, strings.Repeat(string(text[0]), len(text)-1)+"\n", string(text))
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

// A handler of records copies each as far as there is room.
func TestRecordsAreNotCut(t *testing.T) {
	var want strings.Builder
	for i := range 900 {
		fmt.Fprintf(&want, "record %d of some length\n", i)
	}
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
		if r.Pos == 900 {
			return 0, nil
		}
		r.Pos++
		return copy(p, fmt.Sprintf("record %d of some length\n", r.Pos-1)), nil
	}))
	text, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.True(t, want.String() == string(text), "%d bytes of %d", len(text), want.Len())
}

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

// What a caller has read is its own.
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

// A wrapped handler costs nearly the same as the handler itself.
func TestWrapperCostsNoMoreThanAnAllocation(t *testing.T) {
	var s sysctl.Var[string]
	s.Store("Linux")
	var v sysctl.Var[int32]
	for _, h := range []sysctl.Handler{
		sysctl.DoString(&s, 64), sysctl.DoIntVec(&v), &s, &v, sysctl.NewVar(sysctl.Bytes(5000)), sysctl.NewVar([]string{"a", "b"}),
		sysctl.NewVar(1.5), sysctl.NewVar(time.Second), sysctl.Func(func() string { return "text" }),
	} {
		cost := func(h sysctl.Handler) (allocs, bytes float64) {
			tree := putAs(t, 0o444, h)
			const n = 2000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range n {
				if _, err := tree.ReadFile(sysctl.Root, "x"); err != nil {
					t.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			return float64(after.Mallocs-before.Mallocs) / n, float64(after.TotalAlloc-before.TotalAlloc) / n
		}
		allocs, bytes := cost(h)
		for name, wrapped := range wraps(h) {
			if name == "copying" {
				continue // it allocates its copies
			}
			a, b := cost(wrapped)
			t.Logf("%T %s: %.1f allocations, %.0f bytes; itself %.1f, %.0f", h, name, a, b, allocs, bytes)
			if raceEnabled {
				continue // the pool drops at random then
			}
			require.LessOrEqual(t, a, 4.5, name)
			require.LessOrEqual(t, a, allocs+1.5, name)
			require.LessOrEqual(t, b, 1.3*bytes+16, name)
		}
	}
}

// A handler of a program may embed a variable, whose methods it then has as well. It
// is no handler of the package for that.
type embedsInt struct{ sysctl.Var[int32] }

func (h *embedsInt) Read(r *sysctl.Request, p []byte) (int, error) {
	n := copy(p[:min(len(p), 10)], strings.Repeat("parts of ten bytes\n", 10)[r.Pos:])
	r.Pos += int64(n)
	return n, nil
}

func (h *embedsInt) Write(_ *sysctl.Request, p []byte) (int, error) { return len(p), nil }

type embedsInts struct{ sysctl.Vec[int32] } // of no values, which Register refuses in DoIntVec

func (h *embedsInts) Read(r *sysctl.Request, p []byte) (int, error)  { return new(embedsInt).Read(r, p) }
func (h *embedsInts) Write(r *sysctl.Request, p []byte) (int, error) { return len(p), nil }

type embedsNil struct{ *sysctl.Var[uint64] }

func (h embedsNil) Read(r *sysctl.Request, p []byte) (int, error)  { return new(embedsInt).Read(r, p) }
func (h embedsNil) Write(r *sysctl.Request, p []byte) (int, error) { return len(p), nil }

func TestHandlerThatEmbedsAVariableIsReadToItsEnd(t *testing.T) {
	for _, h := range []sysctl.Handler{new(embedsInt), new(embedsInts), embedsNil{}} {
		tree, _ := treeWith(t, h)
		text, err := tree.ReadFile(sysctl.Root, "x")
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("parts of ten bytes\n", 10), string(text), "%T", h)
	}
}

// A wrapper may change the text of the handler that it wraps.
type shouts struct{ sysctl.Handler }

func (h shouts) Read(r *sysctl.Request, p []byte) (int, error) {
	n, err := h.Handler.Read(r, p)
	copy(p, bytes.ToUpper(p[:n]))
	return n, err
}

func TestWrapperMayChangeTheText(t *testing.T) {
	for _, size := range []int{3, 60, 5000} {
		text := strings.Repeat("a", size)
		tree, _ := treeWith(t, shouts{sysctl.NewVar(text)})
		for range 2 {
			got, err := tree.ReadFile(sysctl.Root, "x")
			require.NoError(t, err)
			require.Equal(t, strings.ToUpper(text)+"\n", string(got))
		}
	}
}

// A wrapper of a program may embed a variable that is nil.
func TestVariableThatIsNilHasNoSource(t *testing.T) {
	tree, _ := treeWith(t, embedsNil{})
	require.Empty(t, tree.Source("x"))
}
