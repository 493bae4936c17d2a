package sysctl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// hammer runs f in eight goroutines for about a second, again and again. Each
// has random numbers of its own.
func hammer(t *testing.T, f func(r *rand.Rand)) {
	var all sync.WaitGroup
	end := time.Now().Add(time.Second)
	for i := range uint64(8) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(i, i))
			for time.Now().Before(end) && !t.Failed() {
				f(r)
			}
		})
	}
	all.Wait()
}

// vectors is a tree of entries whose values have several parts. The parts belong
// together: each writer has an n of its own, and writes n, n+1 and n+2, or a range of ten
// in the bitmap.
type vectors struct {
	tree   sysctl.Tree
	ints   sysctl.Vec[int32]
	whole  sysctl.Vec[int32]
	ulongs sysctl.Vec[uint64]
	bits   *sysctl.Bitmap
	text   sysctl.Var[string]
	header *sysctl.Header
}

var vectorNames = []string{"ints", "whole", "ulongs", "bits", "text"}

func newVectors(t *testing.T) *vectors {
	v := &vectors{bits: sysctl.NewBitmap(1000)}
	v.ints.Store(0, 1, 2)
	v.whole.Store(0, 1, 2)
	v.ulongs.Store(0, 1, 2)
	v.bits.Set(0, 9)
	v.text.Store("0 1 2")
	var err error
	v.header, err = v.tree.Register("v",
		sysctl.Entry{Name: "ints", Mode: 0o644, Handler: sysctl.DoIntVec(&v.ints)},
		sysctl.Entry{Name: "whole", Mode: 0o644, Handler: sysctl.Whole(&v.whole, 0, 2000)},
		sysctl.Entry{Name: "ulongs", Mode: 0o644, Handler: sysctl.DoUlongVecMinMax(&v.ulongs, 0, 2000)},
		sysctl.Entry{Name: "bits", Mode: 0o644, Handler: sysctl.DoLargeBitmap(v.bits)},
		sysctl.Entry{Name: "text", Mode: 0o644, Handler: sysctl.DoString(&v.text, 64)},
	)
	require.NoError(t, err)
	return v
}

// written returns the text that some writer writes to the entry.
func written(name string, n int) []byte {
	if name == "bits" {
		return fmt.Appendf(nil, "%d-%d\n", n, n+9)
	}
	return fmt.Appendf(nil, "%d %d %d\n", n, n+1, n+2)
}

// torn returns an error if the text is not some written one.
func torn(name, text string) error {
	var n int
	if _, err := fmt.Sscan(strings.Replace(text, "-", " ", 1), &n); err != nil {
		return fmt.Errorf("%s: %q: %w", name, text, err)
	}
	if got := strings.ReplaceAll(text, "\t", " "); got != string(written(name, n)) {
		return fmt.Errorf("%s is torn: %q", name, text)
	}
	return nil
}

// loaded returns the same texts, from the values that a program loads.
func (v *vectors) loaded() map[string]string {
	line := func(values any) string { return strings.Trim(fmt.Sprint(values), "[]") + "\n" }
	return map[string]string{
		"ints": line(v.ints.Load()), "whole": line(v.whole.Load()), "ulongs": line(v.ulongs.Load()), "text": line(v.text.Load()),
	}
}

// Every value that is read is one that was written, whole: by Load, by reading,
// from an open file, as a file system and in a loop over the changes.
func TestHammerNothingThatIsReadIsTorn(t *testing.T) {
	v := newVectors(t)
	var loops sync.WaitGroup
	var changes, polls atomic.Int64
	for _, name := range vectorNames {
		loops.Go(func() {
			for _, text := range v.tree.Changes(context.Background(), "v/"+name) {
				changes.Add(1)
				if err := torn(name, text); err != nil {
					t.Error(err)
				}
			}
		})
		loops.Go(func() {
			f := open(t, &v.tree, "v/"+name)
			var gone bool
			woken := func() (changed bool) {
				changed, gone = f.Changed()
				return changed || gone
			}
			for !gone { // that is: until it is unregistered
				if err := f.WaitQueue().Wait(context.Background(), woken); err != nil {
					t.Error(err)
				}
				polls.Add(1)
			}
		})
	}
	shared := map[string]*sysctl.File{}
	for _, name := range vectorNames {
		shared[name] = open(t, &v.tree, "v/"+name)
	}
	hammer(t, func(r *rand.Rand) {
		name, n := vectorNames[r.IntN(len(vectorNames))], r.IntN(900)
		path := "v/" + name
		var text []byte
		var err error
		switch r.IntN(8) {
		case 0:
			err = v.tree.WriteFile(sysctl.Root, path, written(name, n))
		case 1:
			_, err = shared[name].WriteAt(written(name, n), 0)
		case 2:
			text, err = v.tree.ReadFile(sysctl.Root, path)
		case 3:
			text = make([]byte, 100)
			n, _ := shared[name].ReadAt(text, 0) // to the end
			text = text[:n]
		case 4:
			text, err = fs.ReadFile(v.tree.FS(sysctl.Nobody), path)
		case 5:
			var entries []fs.DirEntry
			if entries, err = fs.ReadDir(v.tree.FS(sysctl.Nobody), "v"); len(entries) != len(vectorNames) {
				err = fmt.Errorf("%d entries are listed: %w", len(entries), err)
			}
		case 6:
			for name, text := range v.loaded() {
				err = errors.Join(err, torn(name, text))
			}
		case 7: // a bad value changes nothing
			if err = v.tree.WriteFile(sysctl.Root, "v/whole", []byte("1 2 x")); errors.Is(err, syscall.EINVAL) {
				err = nil
			}
		}
		if err == nil && text != nil {
			err = torn(name, string(text))
		}
		if err != nil {
			t.Error(err)
		}
	})
	v.header.Unregister() // which ends all that waits for changes
	loops.Wait()
	require.NotZero(t, changes.Load())
	require.NotZero(t, polls.Load())
}

// Registering, unregistering, listing, and every call of an open file, all at once. Once
// Unregister has returned, no handler runs. This holds for files that were opened before,
// and for waits for a change.
func TestHammerOpenFilesOfEntriesThatGo(t *testing.T) {
	var tree sysctl.Tree
	type place struct {
		mu     sync.Mutex // held while one registers and unregisters
		on     *atomic.Bool
		header *sysctl.Header
		file   atomic.Pointer[sysctl.File]
	}
	places := make([]place, 3)
	var loops sync.WaitGroup
	var calls atomic.Int64
	hammer(t, func(r *rand.Rand) {
		i := r.IntN(len(places))
		p := &places[i]
		dir := fmt.Sprintf("a/b%d", i%2)
		path := fmt.Sprintf("%s/x%d", dir, i)
		switch r.IntN(8) {
		case 0:
			if !p.mu.TryLock() {
				return
			}
			defer p.mu.Unlock()
			if p.header != nil {
				p.header.Unregister()
				p.on.Store(false)
				p.header = nil
				return
			}
			p.on = new(atomic.Bool)
			p.on.Store(true)
			var err error
			p.header, err = tree.Register(dir, sysctl.Entry{
				Name: fmt.Sprintf("x%d", i), Mode: 0o644,
				Handler: &guarded{on: p.on, t: t},
			})
			if err != nil {
				t.Error(err)
				return
			}
			f, err := tree.OpenFile(sysctl.Root, path, os.O_RDWR)
			if err != nil {
				t.Error(err)
				return
			}
			p.file.Store(f)
			on := p.on
			loops.Go(func() {
				for range tree.Changes(context.Background(), path) { // ends with the entry
					if calls.Add(1); !on.Load() {
						return // the loop's body may run later than Unregister returns
					}
				}
			})
		case 1:
			_ = fs.WalkDir(tree.FS(sysctl.Nobody), ".", func(path string, _ fs.DirEntry, err error) error {
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(path, err)
				}
				return nil
			})
		case 2:
			_, _ = tree.ReadFile(sysctl.Root, path)
			_ = tree.WriteFile(sysctl.Root, path, []byte("x"))
		default:
			f := p.file.Load()
			if f == nil {
				return
			}
			for _, err := range []error{second(f.Write([]byte("x"))), second(f.WriteAt([]byte("x"), 1)), second(f.Read(make([]byte, 8)))} {
				if err == nil {
					calls.Add(1)
				}
			}
			if _, gone := f.Changed(); !gone {
				calls.Add(1)
			}
		}
	})
	for i := range places {
		places[i].header.Unregister()
	}
	loops.Wait()
	require.NotZero(t, calls.Load())
	entries, err := fs.ReadDir(tree.FS(sysctl.Root), ".")
	require.NoError(t, err)
	require.Empty(t, entries, "the directories have gone as well")
}

func second[T any](_ T, err error) error { return err }

// The writers of one file take turns, so that each text is behind the one before it, as
// with a position of the kernel's.
func TestHammerWritersOfOneFileTakeTurns(t *testing.T) {
	var tree sysctl.Tree
	var s sysctl.Var[string]
	_, err := tree.Register("", sysctl.Entry{Name: "s", Mode: 0o644, Handler: sysctl.DoString(&s, 1<<16)})
	require.NoError(t, err)
	f := open(t, &tree, "s")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 100 {
				_, err := f.Write(bytes.Repeat([]byte{'a' + byte(i)}, 5))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	text := s.Load()
	require.Len(t, text, 8*100*5)
	for ; text != ""; text = text[5:] {
		require.Equal(t, strings.Repeat(text[:1], 5), text[:5])
	}
}

// A write of a part of a value takes nothing away from another one that is
// under way: neither from a vector nor from a bitmap.
func TestHammerWritesOfPartsAreNotLost(t *testing.T) {
	var tree sysctl.Tree
	var v sysctl.Vec[int32]
	v.Store(0, 0, 0)
	b := sysctl.NewBitmap(8 * 1000)
	_, err := tree.Register("",
		sysctl.Entry{Name: "v", Mode: 0o644, Handler: sysctl.DoIntVec(&v)},
		sysctl.Entry{Name: "b", Mode: 0o644, Handler: sysctl.DoLargeBitmap(b)},
	)
	require.NoError(t, err)
	bits := open(t, &tree, "b")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 1000 {
				text := "7\n" // the first value, all but one of them
				if i == 0 {
					text = fmt.Sprintf("7 %d %d\n", n, n)
				}
				if err := tree.WriteFile(sysctl.Root, "v", []byte(text)); err != nil {
					t.Error(err)
				}
				if got := v.Load(); i == 0 && (got[1] != int32(n) || got[2] != int32(n)) {
					t.Errorf("%d was written, %v is there", n, got)
				}
				// At a position other than 0 it adds. An open file's writers
				// would take turns, so some use the variable's own method.
				if n = 8*n + i; i%2 == 0 {
					b.Set(n, n)
				} else if _, err := bits.WriteAt(fmt.Appendln(nil, n), 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for n := range 8 * 1000 {
		require.True(t, b.Has(n), n)
	}
}
