package sysctl_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// put registers h alone in a tree, as x.
func put(t *testing.T, h sysctl.Handler) *sysctl.Tree { return putAs(t, 0o644, h) }

func putAs(t *testing.T, mode fs.FileMode, h sysctl.Handler) *sysctl.Tree {
	tree := new(sysctl.Tree)
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: mode, Handler: h})
	require.NoError(t, err)
	return tree
}

func write(tree *sysctl.Tree, text string) error {
	return tree.WriteFile(sysctl.Root, "x", []byte(text))
}

func shown(t *testing.T, tree *sysctl.Tree) string {
	text, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	return string(text)
}

type limits struct {
	Rate  float64
	Body  sysctl.Bytes
	Names []string
}

func TestVarOfEachType(t *testing.T) {
	roundTrip(t, new(sysctl.Var[float64]), "2.5e3", "2500", 2500)
	roundTrip(t, new(sysctl.Var[int64]), " -0x10\n", "-16", -16)
	roundTrip(t, new(sysctl.Var[uint8]), "255", "255", 255)
	roundTrip(t, new(sysctl.Var[bool]), "On\n", "true", true)
	roundTrip(t, new(sysctl.Var[time.Duration]), "90s", "1m30s", 90*time.Second)
	roundTrip(t, new(sysctl.Var[string]), " a b \n", " a b ", " a b ")
	roundTrip(t, new(sysctl.Var[string]), "\n", "", "")
	roundTrip(t, new(sysctl.Var[string]), "a\n\n", "a\n", "a\n")
	roundTrip(t, new(sysctl.Var[[]byte]), "a\n", "a", []byte("a"))
	roundTrip(t, new(sysctl.Var[slog.Level]), "warn\n", "WARN", slog.LevelWarn)
	roundTrip(t, new(sysctl.Var[sysctl.Bytes]), "1.5GiB\n", "1536MiB", 3<<29)
	roundTrip(t, new(sysctl.Var[[]string]), `a , "b,c","",d e`, `a,"b,c","",d e`, []string{"a", "b,c", "", "d e"})
	roundTrip(t, new(sysctl.Var[[]string]), "a\nb,c", `"a\nb",c`, []string{"a\nb", "c"})
	roundTrip(t, new(sysctl.Var[[]string]), " \n", "", []string{})
	roundTrip(t, new(sysctl.Var[[]time.Duration]), "1s,1m", "1s,1m0s", []time.Duration{time.Second, time.Minute})
	roundTrip(t, new(sysctl.Var[[]netip.Prefix]), "10.0.0.0/8, ::1/128", "10.0.0.0/8,::1/128",
		[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")})
	roundTrip(t, new(sysctl.Var[limits]), `{"Rate": 1.5, "Body": "64K"}`, `{"Rate":1.5,"Body":"64KiB","Names":null}`,
		limits{Rate: 1.5, Body: 64 << 10})
}

// roundTrip writes a text. It is shown as want, which gives the same value.
func roundTrip[T any](t *testing.T, v *sysctl.Var[T], text, want string, value T) {
	t.Helper()
	tree := put(t, v)
	for range 2 {
		require.NoError(t, write(tree, text))
		require.Equal(t, value, v.Load())
		require.Equal(t, want+"\n", shown(t, tree))
		require.Equal(t, want, fmt.Sprint(v))
		text = want + "\n"
	}
	require.NoError(t, v.Set(want))
	require.Equal(t, value, v.Load())
}

func TestVarRefuses(t *testing.T) {
	for text, h := range map[string]sysctl.Handler{
		"1.5":           new(sysctl.Var[int]),
		"256":           new(sysctl.Var[uint8]),
		"maybe":         new(sysctl.Var[bool]),
		"5":             new(sysctl.Var[time.Duration]),
		"a,,b":          new(sysctl.Var[[]string]),
		"a,":            new(sysctl.Var[[]string]),
		`"a" b`:         new(sysctl.Var[[]string]),
		`a"b`:           new(sysctl.Var[[]string]),
		`"a`:            new(sysctl.Var[[]string]),
		`{"Rat":1}`:     new(sysctl.Var[limits]),
		`{"Rate":1} {}`: new(sysctl.Var[limits]),
		"loud":          new(sysctl.Var[slog.Level]),
		"11":            sysctl.NewVar(5, sysctl.Between(1, 10)),
		"NaN":           sysctl.NewVar(5, sysctl.Between(1.0, 10)),
		"info ":         sysctl.NewVar("info", sysctl.OneOf("info", "warn")),
		"12345":         sysctl.NewVar("", sysctl.MaxLen(4)),
		"a-b":           sysctl.NewVar("", sysctl.MaxLen(4), sysctl.Matches(`\w*`)),
		"64KB":          new(sysctl.Var[sysctl.Bytes]),
		"0.3":           new(sysctl.Var[sysctl.Bytes]),
		"8E":            new(sysctl.Var[sysctl.Bytes]),
	} {
		tree := put(t, h)
		before := shown(t, tree)
		err := write(tree, text)
		require.ErrorIs(t, err, syscall.EINVAL, text)
		t.Log(err)
		require.Equal(t, before, shown(t, tree))
	}
}

// An error goes to a terminal or into a log, which must not take commands from a text.
func TestErrorsShowTextsQuoted(t *testing.T) {
	for _, v := range []flag.Value{
		sysctl.NewVar("a", sysctl.OneOf("a")), sysctl.NewVar("a", sysctl.Between("a", "b")), sysctl.NewVar("a", sysctl.Matches("a")),
		new(sysctl.Var[int]), new(sysctl.Var[bool]), new(sysctl.Var[time.Duration]), new(sysctl.Var[sysctl.Bytes]), new(sysctl.Var[limits]),
		new(sysctl.Var[[]string]), new(sysctl.Vec[int32]),
	} {
		for _, text := range []string{"z\x1b[2J\n\"", "\"z\x1b[2J"} {
			err := v.Set(text)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "\x1b", "%T", v)
			require.NotContains(t, err.Error(), "\n", "%T", v)
		}
	}
}

func TestVarTellsOfChangesInOrder(t *testing.T) {
	var told []sysctl.Change[int]
	v := sysctl.NewVar(1)
	v.Changed = func(c sysctl.Change[int]) {
		require.Equal(t, c.New, v.Load(), "it is stored already")
		told = append(told, c)
	}
	tree := put(t, v)
	require.NoError(t, write(tree, "2"))
	require.Error(t, write(tree, "x"))
	v.Store(3)
	require.NoError(t, v.Set("4"))
	require.NoError(t, tree.WriteFrom("etc/x.conf:7", sysctl.Root, "x", []byte("5")))
	require.NoError(t, write(tree, "5"), "the value that is there already")
	require.Equal(t, []sysctl.Change[int]{
		{Old: 1, New: 2, Path: "x", Cred: sysctl.Root, Source: "WriteFile"},
		{Old: 2, New: 3, Path: "x", Cred: sysctl.Root, Source: "Store"},
		{Old: 3, New: 4, Path: "x", Cred: sysctl.Root, Source: "Set x"},
		{Old: 4, New: 5, Path: "x", Cred: sysctl.Root, Source: "etc/x.conf:7"},
		{Old: 5, New: 5, Path: "x", Cred: sysctl.Root, Source: "WriteFile"},
	}, told)
}

// A Store has the path of the entry that came last, as long as it is there.
func TestStoreTellsThePathOfTheEntry(t *testing.T) {
	var paths []string
	var v sysctl.Var[int32]
	v.Changed = func(c sysctl.Change[int32]) { paths = append(paths, c.Path) }
	var tree sysctl.Tree
	register := func(name string, h sysctl.Handler) *sysctl.Header {
		header, err := tree.Register("", sysctl.Entry{Name: name, Mode: 0o644, Handler: h})
		require.NoError(t, err)
		return header
	}
	v.Store(1)
	a := register("a", &v)
	v.Store(2)
	b := register("b", sysctl.DoIntVec(&v))
	v.Store(3)
	a.Unregister()
	require.NoError(t, v.Set("4"))
	b.Unregister()
	v.Store(5)
	require.Equal(t, []string{"", "a", "b", "b", ""}, paths)
}

func TestVarRefusedByTheProgram(t *testing.T) {
	v := sysctl.NewVar(1, func(old, new int) error {
		switch {
		case new < old:
			return errors.New("it may only grow")
		case new > 100:
			return fmt.Errorf("that is for another day: %w", syscall.EPERM)
		}
		return nil
	})
	tree := put(t, v)
	require.EqualError(t, write(tree, "0"), "write x: it may only grow: "+syscall.EINVAL.Error())
	require.ErrorIs(t, write(tree, "101"), syscall.EPERM)
	require.NotErrorIs(t, write(tree, "101"), syscall.EINVAL)
	require.Equal(t, 1, v.Load())
}

func TestPanicInCheckOrChangedLeavesTheOldValue(t *testing.T) {
	in := "check"
	v := sysctl.NewVar("old", func(_, new string) error {
		if in == "check" && new == "bad" {
			panic("bad")
		}
		return nil
	})
	v.Changed = func(c sysctl.Change[string]) {
		if in == "changed" && c.New == "bad" {
			panic("bad")
		}
	}
	tree := put(t, v)
	for _, in = range []string{"check", "changed"} {
		require.PanicsWithValue(t, "bad", func() { _ = write(tree, "bad") }, in)
		require.Equal(t, "old", v.Load(), in)
		require.NoError(t, write(tree, "old"))
	}
	require.PanicsWithValue(t, "bad", func() { v.Store("bad") })
	require.Equal(t, "old", v.Load())
}

func TestVarAtAPosition(t *testing.T) {
	var v sysctl.Var[string]
	tree := put(t, &v)
	f, err := tree.OpenFile(sysctl.Root, "x", 2)
	require.NoError(t, err)
	_, err = f.Write([]byte("ab"))
	require.NoError(t, err)
	_, err = f.Write([]byte("cd"))
	require.ErrorIs(t, err, syscall.EINVAL)
	require.Equal(t, "ab", v.Load())
	_, err = f.Seek(0, 0)
	require.NoError(t, err)
	text, err := io.ReadAll(io.LimitReader(f, 2))
	require.NoError(t, err)
	rest, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "ab\n", string(text)+string(rest), "a read goes on at the position")
	tree.SetWriteMode(sysctl.Legacy)
	_, err = f.Write([]byte("ef\n"))
	require.NoError(t, err)
	require.Equal(t, "ef", v.Load())
}

func TestVarAsAFlag(t *testing.T) {
	verbose, rate := sysctl.NewVar(false), sysctl.NewVar(1.5, sysctl.Between(0.0, 10))
	set := flag.NewFlagSet("x", flag.ContinueOnError)
	var usage fmt.Stringer = new(nothing)
	set.SetOutput(usage.(io.Writer))
	set.Var(verbose, "v", "be verbose")
	set.Var(rate, "rate", "a second")
	require.NoError(t, set.Parse([]string{"-v", "-rate", "2"}))
	require.True(t, verbose.Load())
	require.Equal(t, 2.0, rate.Load())
	require.ErrorContains(t, set.Parse([]string{"-rate", "11"}), "sysctl: 11 is not from 0 to 10")
	set.PrintDefaults()
}

type nothing struct{}

func (*nothing) Write(p []byte) (int, error) { return len(p), nil }
func (*nothing) String() string              { return "" }

func TestRegisterRefusesAVarThatCannotWork(t *testing.T) {
	var tree sysctl.Tree
	for want, h := range map[string]sysctl.Handler{
		"the wrong way round": sysctl.NewVar(5, sysctl.Between(10, 1)),
		"5 is not from 10":    sysctl.NewVar(5, sysctl.Between(10, 20)),
		"unsupported type":    new(sysctl.Var[func()]),
		"no data":             (*sysctl.Var[int])(nil),
		"no data: ":           sysctl.Func(nil),
	} {
		_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: h})
		require.ErrorContains(t, err, want)
		require.ErrorIs(t, err, syscall.EINVAL)
	}
}

func TestComputedFile(t *testing.T) {
	n := 0
	h := sysctl.Func(func() string { n++; return fmt.Sprint(n) })
	tree := putAs(t, 0o444, h)
	require.Equal(t, "1\n", shown(t, tree))
	require.Equal(t, "2\n", shown(t, tree))
	require.ErrorIs(t, write(tree, "1"), syscall.EACCES)
	_, err := h.Write(&sysctl.Request{Cred: sysctl.Root}, []byte("1"))
	require.ErrorIs(t, err, syscall.EPERM, "as a wrapper may call it")
}

// A mode with a right to write would promise a write that never succeeds.
func TestRegisterRefusesARightToWriteAComputedFile(t *testing.T) {
	for name, h := range map[string]sysctl.Handler{
		"func":   sysctl.Func(func() string { return "5" }),
		"format": &sysctl.Var[int]{Format: strconv.Itoa},
	} {
		var tree sysctl.Tree
		for _, mode := range []fs.FileMode{0o644, 0o200, 0o446, 0o464} {
			_, err := tree.Register("", sysctl.Entry{Name: name, Mode: mode, Handler: h})
			require.ErrorContains(t, err, fmt.Sprintf("the mode %#o has a right to write, and its handler can only be read", uint32(mode)))
			require.ErrorIs(t, err, syscall.EINVAL)
		}
		_, err := tree.Register("", sysctl.Entry{Name: name, Mode: 0o444, Handler: h})
		require.NoError(t, err)
	}
}

func TestDuration(t *testing.T) {
	var tree sysctl.Tree
	var d sysctl.Var[time.Duration]
	d.Store(time.Second)
	_, err := tree.Register("", sysctl.Entry{Name: "d", Mode: 0o644, Handler: sysctl.Bounded(&d, time.Millisecond, time.Hour)})
	require.NoError(t, err)
	for text, want := range map[string]time.Duration{"1.5s\n": 1500 * time.Millisecond, " 2m ": 2 * time.Minute, "1h": time.Hour} {
		require.NoError(t, tree.WriteFile(sysctl.Root, "d", []byte(text)))
		require.Equal(t, want, d.Load())
	}
	d.Store(90 * time.Second)
	for _, text := range []string{"5", "1s 2s", "-1s", "2h", "1us", "\n", "x"} {
		require.ErrorIs(t, tree.WriteFile(sysctl.Root, "d", []byte(text)), syscall.EINVAL, text)
	}
	text, err := tree.ReadFile(sysctl.Root, "d")
	require.NoError(t, err)
	require.Equal(t, "1m30s\n", string(text))
	require.NoError(t, tree.WriteFile(sysctl.Root, "d", nil))
	n, err := open(t, &tree, "d").WriteAt([]byte("5s"), 1)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.Zero(t, n)
	require.Equal(t, 90*time.Second, d.Load())
}
