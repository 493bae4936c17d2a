package sysctl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
)

func TestElementOfAVectorCostsNoAllocation(t *testing.T) {
	var v sysctl.Vec[int32]
	v.Store(4096, 131072, 6291456)
	sum := int32(0)
	require.Zero(t, testing.AllocsPerRun(100, func() { sum += v.At(1) }))
	require.EqualValues(t, 131072, v.At(1))
	require.Equal(t, 3, v.Len())
	require.Panics(t, func() { v.At(3) })
	require.Panics(t, func() { new(sysctl.Vec[uint64]).At(0) })
	given := []int32{1, 2}
	v.Store(given...)
	given[0] = 9
	v.Load()[1] = 9
	require.Equal(t, []int32{1, 2}, v.Load(), "a copy of a copy")
}

func TestVecIsWrittenWhole(t *testing.T) {
	var v sysctl.Vec[uint64]
	v.Store(1, 2)
	v.Check = func(_, new []uint64) error {
		if new[0] > new[1] {
			return errors.New("the first is above the second")
		}
		return nil
	}
	tree := put(t, &v)
	require.NoError(t, write(tree, " 0x10\n020 "))
	require.Equal(t, "16\t16\n", shown(t, tree))
	for text, want := range map[string]string{
		"1": "1 numbers for 2 values", "1 2 3": "3 numbers for 2 values", "3 2": "the first is above", "-1 2": "has a sign", "1,2": "is not a number", "\n": "0 numbers",
	} {
		require.ErrorContains(t, write(tree, text), want)
		require.ErrorIs(t, write(tree, text), syscall.EINVAL)
		require.Equal(t, []uint64{16, 16}, v.Load())
	}
	require.NoError(t, v.Set("1 2"))
	require.Equal(t, "1\t2", fmt.Sprint(&v))
	require.ErrorContains(t, v.UnmarshalText([]byte("2 1")), "sysctl: the first is above the second")
	v.Check = nil
	require.ErrorContains(t, tree.WriteFile(sysctl.Root, "x", bytes.Repeat([]byte("1 "), 9)), "9 numbers for 2 values")
}

// Vectors and sets are flags, and text in JSON.
func TestVectorsAsFlagsAndInJSON(t *testing.T) {
	var v sysctl.Vec[int32]
	v.Store(1, 2)
	b := sysctl.NewBitmap(100)
	set := flag.NewFlagSet("x", flag.ContinueOnError)
	set.SetOutput(new(nothing))
	set.Var(&v, "v", "")
	set.TextVar(b, "b", b, "")
	require.NoError(t, set.Parse([]string{"-v", "3 4", "-b", "1-3,99"}))
	set.PrintDefaults()
	require.Equal(t, "3\t4", v.String())
	require.Equal(t, "1-3,99", fmt.Sprint(b))
	require.Error(t, b.UnmarshalText([]byte("100")))
	require.ErrorContains(t, b.UnmarshalText([]byte("3-1")), "sysctl: 3-1 is not a range")
	n := sysctl.NewVar(int64(5))
	text, err := json.Marshal(map[string]any{"v": &v, "b": b, "f": sysctl.NewVar(1.5), "n": n})
	require.NoError(t, err)
	require.JSONEq(t, `{"v": "3\t4", "b": "1-3,99", "f": "1.5", "n": "5"}`, string(text))
	require.NoError(t, json.Unmarshal([]byte(`"-1"`), n))
	require.Equal(t, int64(-1), n.Load())
	require.NoError(t, json.Unmarshal([]byte(`"7"`), b))
	require.Equal(t, "7", b.String())
	require.Empty(t, sysctl.NewBitmap(0).String())
	require.ErrorIs(t, new(sysctl.Bitmap).UnmarshalText([]byte("0")), syscall.EINVAL)
	require.NoError(t, new(sysctl.Bitmap).UnmarshalText(nil))
	require.Empty(t, (*sysctl.Vec[int32])(nil).String()+(*sysctl.Var[int])(nil).String()+(*sysctl.Bitmap)(nil).String())
}

// A kernelHandler is a handler of the kernel with its variable.
type kernelHandler struct {
	h             sysctl.Handler
	refuse, panic func(text string) // a write that would show text
	said          *[]string
	good, bad     string
	shown         func() string
}

// watched has each handler with a variable that has Check and Changed.
func watched() map[string]*kernelHandler {
	all := map[string]*kernelHandler{}
	add := func(name, good, bad string, make func(check func(any) error, changed func(old, new any, path, source string)) (sysctl.Handler, fmt.Stringer)) {
		said := []string{}
		var refused, panics string
		h, v := make(func(new any) error {
			if fmt.Sprint(new) == refused {
				return errors.New("not this one")
			}
			return nil
		}, func(old, new any, path, source string) {
			if fmt.Sprint(new) == panics {
				panic("told")
			}
			said = append(said, fmt.Sprint(old, " ", new, " ", path, " ", source))
		})
		all[name] = &kernelHandler{
			h: h, said: &said, good: good, bad: bad, shown: v.String,
			refuse: func(text string) { refused = text }, panic: func(text string) { panics = text },
		}
	}
	watch := func(name, good, bad string, handler func(*sysctl.Vec[int32]) sysctl.Handler) {
		add(name, good, bad, func(check func(any) error, changed func(old, new any, path, source string)) (sysctl.Handler, fmt.Stringer) {
			v := new(sysctl.Vec[int32])
			v.Store(1, 2)
			v.Check = func(_, new []int32) error { return check(new) }
			v.Changed = func(c sysctl.Change[[]int32]) { changed(c.Old, c.New, c.Path, c.Source) }
			return handler(v), v
		})
	}
	watch("DoIntVec", "3", "7 8", func(v *sysctl.Vec[int32]) sysctl.Handler { return sysctl.DoIntVec(v) })
	watch("Vec", "3 2", "7 8", func(v *sysctl.Vec[int32]) sysctl.Handler { return v })
	addVar(add, "DoIntVec of a Var", "3", "7", int32(1), func(v *sysctl.Var[int32]) sysctl.Handler { return sysctl.DoIntVec(v) })
	addVar(add, "DoUint", "3", "7", uint32(1), sysctl.DoUint)
	addVar(add, "DoUlongVecMinMax", "3", "7", uint64(1), func(v *sysctl.Var[uint64]) sysctl.Handler { return sysctl.DoUlongVecMinMax(v, 0, 9) })
	addVar(add, "DoJiffies", "3", "7", int32(1), func(v *sysctl.Var[int32]) sysctl.Handler {
		return sysctl.DoJiffies(v, 10*time.Millisecond, 0, 100)
	})
	addVar(add, "DoString", "3", "7", "1", func(v *sysctl.Var[string]) sysctl.Handler { return sysctl.DoString(v, 9) })
	addVar(add, "Var", "3", "7", "1", func(v *sysctl.Var[string]) sysctl.Handler { return v })
	addVar(add, "DoBool", "0", "1", false, sysctl.DoBool)
	addVar(add, "DoStaticKey", "0", "1", false, sysctl.DoStaticKey)
	add("DoLargeBitmap", "3", "7", func(check func(any) error, changed func(old, new any, path, source string)) (sysctl.Handler, fmt.Stringer) {
		b := sysctl.NewBitmap(64)
		b.Check = func(_, new []uint64) error { return check(new) }
		b.Changed = func(c sysctl.Change[[]uint64]) { changed(c.Old, c.New, c.Path, c.Source) }
		return sysctl.DoLargeBitmap(b), b
	})
	return all
}

func addVar[T any](
	add func(name, good, bad string, make func(check func(any) error, changed func(old, new any, path, source string)) (sysctl.Handler, fmt.Stringer)),
	name, good, bad string, start T, handler func(*sysctl.Var[T]) sysctl.Handler,
) {
	add(name, good, bad, func(check func(any) error, changed func(old, new any, path, source string)) (sysctl.Handler, fmt.Stringer) {
		v := sysctl.NewVar(start, func(_, new T) error { return check(new) })
		v.Changed = func(c sysctl.Change[T]) { changed(c.Old, c.New, c.Path, c.Source) }
		return handler(v), v
	})
}

// Whichever handler writes a variable, its Check may refuse, and its Changed is told. A
// panic in one of them leaves the old value, and the next write works. A write that is only
// tried finds the same faults, stores nothing, and tells no one.
func TestEveryHandlerAsksCheckAndTellsChanged(t *testing.T) {
	for name, k := range watched() {
		t.Run(name, func(t *testing.T) {
			tree := put(t, k.h)
			at := k.shown()
			require.NoError(t, sysctl.Try(k.h, k.bad+"\n"))
			require.Equal(t, at, k.shown())
			require.NoError(t, write(tree, k.bad+"\n"))
			badShown := k.shown()
			told := (*k.said)[0]
			fields := strings.Split(told, " ")
			require.True(t, strings.HasSuffix(told, " x WriteFile"), told)
			bad := strings.Join(fields[len(fields)/2-1:len(fields)-2], " ") // the new value
			require.NoError(t, write(tree, k.good+"\n"))
			goodShown := k.shown()
			if name != "DoIntVec" {
				require.NotEqual(t, badShown, goodShown)
			}
			n := len(*k.said)

			k.refuse(bad)
			err := write(tree, k.bad+"\n")
			require.EqualError(t, err, "write x: not this one: "+syscall.EINVAL.Error())
			require.ErrorIs(t, sysctl.Try(k.h, k.bad+"\n"), syscall.EINVAL)
			require.Equal(t, goodShown, k.shown())
			require.Len(t, *k.said, n)
			k.refuse("")

			k.panic(bad)
			require.PanicsWithValue(t, "told", func() { _ = write(tree, k.bad+"\n") })
			require.Equal(t, goodShown, k.shown())
			k.panic("")
			require.NoError(t, write(tree, k.bad+"\n"))
			require.Equal(t, badShown, k.shown())
		})
	}
}

func TestTriedWriteModeStays(t *testing.T) {
	var tree sysctl.Tree
	require.NoError(t, sysctl.Try(sysctl.DoWritesStrict(&tree), "0"))
	require.ErrorIs(t, sysctl.Try(sysctl.DoWritesStrict(&tree), "2"), syscall.EINVAL)
	require.Equal(t, sysctl.Strict, tree.WriteMode())
}

// The values before a bad number are stored, and told of.
func TestPartOfAVectorIsAChange(t *testing.T) {
	var v sysctl.Vec[int32]
	var told [][]int32
	v.Changed = func(c sysctl.Change[[]int32]) { told = append(told, c.New) }
	v.Store(1, 2)
	tree := put(t, sysctl.DoIntVec(&v))
	require.ErrorContains(t, write(tree, "5 x"), "is not a number")
	require.ErrorContains(t, write(tree, "x"), "is not a number")
	require.Equal(t, [][]int32{{1, 2}, {5, 2}}, told)
}

// Bounds with the larger one first, and a start value outside of them, are refused.
func TestRegisterRefusesBounds(t *testing.T) {
	i, u, b, l := sysctl.NewVar[int32](5), sysctl.NewVar[uint32](5), sysctl.NewVar[uint8](5), sysctl.NewVar[uint64](5)
	var three sysctl.Vec[int32]
	three.Store(1, 5, 2)
	const ms = time.Millisecond
	set := sysctl.NewBitmap(9)
	set.Check = func(_, new []uint64) error {
		if new[0] == 0 {
			return errors.New("it is empty")
		}
		return nil
	}
	bitmap := sysctl.DoLargeBitmap(set)
	for name, h := range map[string]sysctl.Handler{
		"the wrong way round: int":    sysctl.DoIntVecMinMax(i, 9, 1),
		"the wrong way round: uint":   sysctl.DoUintMinMax(u, 9, 1),
		"the wrong way round: byte":   sysctl.DoUintMinMax(b, 9, 1),
		"the wrong way round: ulong":  sysctl.DoUlongVecMinMax(l, 9, 1),
		"the wrong way round: ms":     sysctl.DoJiffies(i, ms, 9, 1),
		"the wrong way round: Var":    sysctl.NewVar(5, sysctl.Between(9, 1)),
		"5 is not from 6 to 9: int":   sysctl.DoIntVecMinMax(i, 6, 9),
		"5 is not from 1 to 4: three": sysctl.DoIntVecMinMax(&three, 1, 4),
		"5 is not from 6 to 9: uint":  sysctl.DoUintMinMax(u, 6, 9),
		"5 is not from 6 to 9: byte":  sysctl.DoUintMinMax(b, 6, 9),
		"5 is not from 6 to 9: ulong": sysctl.DoUlongVecMinMax(l, 6, 9),
		"5 is not from 6 to 9: ms":    sysctl.DoJiffies(i, ms, 6, 9),
		"5 is not from 6 to 9: Var":   sysctl.NewVar(5, sysctl.Between(6, 9)),
		"it is empty: bitmap":         bitmap,
		"has 6 bytes: text":           sysctl.DoString(sysctl.NewVar("longer"), 6),
		"6 bytes are more: text":      sysctl.NewVar("longer", sysctl.MaxLen(5)),
		"no jiffies in this unit: -":  sysctl.DoJiffies(i, time.Minute, 0, 9),
		"or none for this type: -":    sysctl.DoJiffies(l, time.Second, 0, 9),
	} {
		_, err := new(sysctl.Tree).Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: h})
		want, _, _ := strings.Cut(name, ": ")
		require.ErrorContains(t, err, want, name)
		require.ErrorIs(t, err, syscall.EINVAL, name)
		require.Equal(t, 1, strings.Count(err.Error(), syscall.EINVAL.Error()), err)
	}
	for _, h := range []sysctl.Handler{
		sysctl.DoIntVecMinMax(i, 5, 5), sysctl.DoUintMinMax(b, 5, math.MaxUint8), sysctl.DoString(sysctl.NewVar("longer"), 7), sysctl.DoJiffies(l, ms, 0, 5),
	} {
		put(t, h)
	}
}

// Register holds no lock that a Check could wait for.
func TestCheckMayReadTheTree(t *testing.T) {
	low := sysctl.NewVar(1)
	tree := put(t, low)
	high := sysctl.NewVar(2, func(_, new int) error {
		text, err := tree.ReadFile(sysctl.Root, "x")
		if err == nil && fmt.Sprintln(new) <= string(text) {
			err = fmt.Errorf("%d is not above %s", new, text)
		}
		return err
	})
	_, err := tree.Register("", sysctl.Entry{Name: "y", Mode: 0o644, Handler: high})
	require.NoError(t, err)
	require.NoError(t, tree.WriteFile(sysctl.Root, "y", []byte("3")))
	require.ErrorContains(t, tree.WriteFile(sysctl.Root, "y", []byte("0")), "0 is not above 1")
}

func TestChangeInALog(t *testing.T) {
	var text, js bytes.Buffer
	v := sysctl.NewVar(time.Second)
	v.Changed = func(c sysctl.Change[time.Duration]) {
		slog.New(slog.NewTextHandler(&text, nil)).Info("set", "change", c)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("set", "change", c)
	}
	tree := put(t, v)
	require.NoError(t, tree.WriteFrom("etc/my.conf:3", sysctl.Root, "x", []byte("1m")))
	require.Contains(t, text.String(), "change.path=x change.old=1s change.new=1m0s change.cred=Root change.source=etc/my.conf:3\n")
	require.Contains(t, js.String(), `"change":{"path":"x","old":1000000000,"new":60000000000,"cred":"Root","source":"etc/my.conf:3"}`)
}

func TestEntryIsALineOfAListing(t *testing.T) {
	require.Equal(t, "-rw-r--r-- rate  requests per second", fmt.Sprint(sysctl.Entry{Name: "rate", Mode: 0o644, Doc: "requests per second"}))
	require.Equal(t, "--w------- flush", sysctl.Entry{Name: "flush", Mode: 0o200}.String())
}

// The log of changes has no secrets: values of an entry that Nobody may not read.
func TestChangeOfASecretInALog(t *testing.T) {
	type wrapper struct{ sysctl.Handler }
	for name, secret := range map[string]bool{"644": false, "604": false, "600": true, "640": true, "200": true, "wrapped": true} {
		var text bytes.Buffer
		v := sysctl.NewVar("hunter2", func(old, new string) error {
			if old == "hunter5" && new == "" {
				return errors.New("not now")
			}
			return nil
		})
		v.Changed = func(c sysctl.Change[string]) { slog.New(slog.NewTextHandler(&text, nil)).Info("set", "change", c) }
		mode, err := strconv.ParseUint(name, 8, 9)
		h := sysctl.Handler(v)
		if err != nil {
			mode, h = 0o600, wrapper{v}
		}
		tree := putAs(t, fs.FileMode(mode), h)
		require.NoError(t, write(tree, "hunter3"))
		f, err := tree.OpenFile(sysctl.Root, "x", os.O_WRONLY)
		require.NoError(t, err)
		_, err = f.Write([]byte("hunter4"))
		require.NoError(t, err)
		var s sysctl.Settings
		s.Read("app.conf", strings.NewReader("x = hunter5\nx =\n"))
		require.Error(t, s.Apply(tree, sysctl.Root), "and puts back")
		if name != "wrapped" { // a wrapper hides where the variable is
			v.Store("hunter6")
			require.NoError(t, v.Set("hunter7"))
		}
		require.Contains(t, text.String(), `source="undo app.conf:1"`)
		require.Equal(t, !secret, strings.Contains(text.String(), "hunter"), "%s: %s", name, &text)
	}
}

// A write by a File and by a process has its source.
func TestSourceOfAFileAndOfAProcess(t *testing.T) {
	var sources []string
	v := sysctl.NewVar(0)
	v.Changed = func(c sysctl.Change[int]) { sources = append(sources, c.Cred.String()+", "+c.Source) }
	tree := put(t, v)
	f, err := tree.OpenFile(sysctl.Root, "x", os.O_WRONLY)
	require.NoError(t, err)
	_, err = f.Write([]byte("1"))
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("2"), 0)
	require.NoError(t, err)
	node, err := tree.VFS().Lookup("x")
	require.NoError(t, err)
	process := vfs.Process(0, 0, 77, nil)
	h, err := node.(vfs.File).Open(t.Context(), process, os.O_WRONLY)
	require.NoError(t, err)
	_, err = h.Write(t.Context(), process, []byte("3"), 0)
	require.NoError(t, err)
	require.Equal(t, []string{"Root, File", "Root, File", "Root, uid 0, gid 0, pid 77"}, sources)
	require.Equal(t, "uid 0, gid 0, pid 77", tree.Source("x"))
}

func TestWholeVector(t *testing.T) {
	var tree sysctl.Tree
	var v sysctl.Vec[int32]
	v.Store(1, 2, 3)
	_, err := tree.Register("", sysctl.Entry{Name: "v", Mode: 0o644, Handler: sysctl.Whole(&v, 0, 10)})
	require.NoError(t, err)
	require.NoError(t, tree.WriteFile(sysctl.Root, "v", []byte(" 4\t5 0x6\n")))
	require.Equal(t, []int32{4, 5, 6}, v.Load())
	for _, text := range []string{"1", "1 2", "1 2 3 4", "1 2 11", "1 2 -1", "1 2 x", "1 2 3x", "\n", "1 2 99999999999"} {
		require.ErrorIs(t, tree.WriteFile(sysctl.Root, "v", []byte(text)), syscall.EINVAL, text)
		require.Equal(t, []int32{4, 5, 6}, v.Load())
	}
}
