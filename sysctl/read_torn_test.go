package sysctl_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/observed"
	"github.com/kprim/kprim/sysctl"
)

// The ways to wrap a handler that a program may choose. None says which handler
// it wraps.
type (
	wrap       struct{ sysctl.Handler }
	wrapTwice  struct{ wrap }
	wrapPtr    struct{ *wrapTwice }
	copying    struct{ sysctl.Handler }
	ownRequest struct{ sysctl.Handler }
)

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
