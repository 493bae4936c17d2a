package sysctl_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// settings has the lines of a text, as if the file f had them.
func settings(text string) *sysctl.Settings {
	s := new(sysctl.Settings)
	s.Read("f", strings.NewReader(text))
	return s
}

// A shop has three values, which tell of their changes.
type shop struct {
	sysctl.Tree
	min, max, open *sysctl.Var[int]
	told           []string
	header         *sysctl.Header
}

func newShop(t *testing.T) *shop {
	s := &shop{min: sysctl.NewVar(1, sysctl.Between(0, 100)), max: sysctl.NewVar(10, sysctl.Between(0, 100)), open: sysctl.NewVar(0)}
	tell := func(name string) func(sysctl.Change[int]) {
		return func(c sysctl.Change[int]) {
			s.told = append(s.told, fmt.Sprintf("%s %d>%d %s", name, c.Old, c.New, c.Source))
		}
	}
	s.min.Changed, s.max.Changed, s.open.Changed = tell("min"), tell("max"), tell("open")
	var err error
	s.header, err = s.Register("shop",
		sysctl.Entry{Name: "min", Mode: 0o644, Handler: s.min},
		sysctl.Entry{Name: "max", Mode: 0o644, Handler: s.max},
		sysctl.Entry{Name: "open", Mode: 0o644, Handler: s.open})
	require.NoError(t, err)
	return s
}

func (s *shop) values() []int { return []int{s.min.Load(), s.max.Load(), s.open.Load()} }

func TestCheckReportsEachFaultAndStoresNothing(t *testing.T) {
	s := newShop(t)
	file := settings("shop.min=5\nshop.max=101\nshop.none=1\nnothing\n-shop.max=x\nshop.open=x\n")
	f, err := s.OpenFile(sysctl.Root, "shop/min", os.O_RDONLY)
	require.NoError(t, err)
	for _, check := range []func() error{
		func() error { return file.Check(&s.Tree, sysctl.Root) },
		func() error { return file.Apply(&s.Tree, sysctl.Root) },
	} {
		var lines []int
		for _, e := range failures(t, check()) {
			lines = append(lines, e.Line)
		}
		require.Equal(t, []int{4, 2, 3, 6}, lines)
		require.Equal(t, []int{1, 10, 0}, s.values())
		require.Empty(t, s.told)
		changed, _ := f.Changed()
		require.False(t, changed)
		require.Empty(t, s.Source("shop/min"))
	}
}

func TestApplyStoresAllInOrder(t *testing.T) {
	s := newShop(t)
	file := settings("shop.max=50\nshop.min=5\n-shop.none=1\n-shop.min=x\nshop.max=51\nshop.o*=3")
	require.NoError(t, file.Check(&s.Tree, sysctl.Root))
	require.Empty(t, s.told)
	require.NoError(t, file.Apply(&s.Tree, sysctl.Root))
	require.Equal(t, []string{"max 10>50 f:1", "min 1>5 f:2", "max 50>51 f:5", "open 0>3 f:6"}, s.told)
	require.Equal(t, []int{5, 51, 3}, s.values())
	require.Equal(t, "f:5", s.Source("shop/max"))
	require.NoError(t, file.Apply(&s.Tree, sysctl.Root), "it can be applied again")
	require.ErrorIs(t, file.Apply(&s.Tree, sysctl.Nobody), syscall.EACCES)
}

func TestPartialIsLoad(t *testing.T) {
	s := newShop(t)
	file := settings("shop.min=5\nshop.max=101\nshop.open=2")
	file.Partial = true
	require.Len(t, failures(t, file.Apply(&s.Tree, sysctl.Root)), 1)
	require.Equal(t, []int{5, 10, 2}, s.values())
}

// A value that changes between the check and the write is refused by the write.
func TestWriteThatIsRefusedAfterTheCheckUndoesTheOthers(t *testing.T) {
	s := newShop(t)
	f, err := s.OpenFile(sysctl.Root, "shop/min", os.O_RDONLY)
	require.NoError(t, err)
	s.open.Check = func(old, new int) error {
		if s.min.Load() != 1 { // which the check did not see
			f.Changed() // tells of the new value, so that the next one tells of the old value
			return errors.New("closed")
		}
		return nil
	}
	require.NoError(t, s.WriteFrom("before", sysctl.Root, "shop/max", []byte("20")))
	s.told = nil
	file := settings("shop.max=50\nshop.min=5\nshop.min=6\nshop.open=1\n")
	require.NoError(t, file.Check(&s.Tree, sysctl.Root))
	errs := failures(t, file.Apply(&s.Tree, sysctl.Root))
	require.Len(t, errs, 1)
	require.Equal(t, 4, errs[0].Line)
	require.ErrorContains(t, errs[0], "closed")
	require.Equal(t, []int{1, 20, 0}, s.values())
	require.Equal(t, []string{"max 20>50 f:1", "min 1>5 f:2", "min 5>6 f:3", "min 6>5 undo f:3", "min 5>1 undo f:2", "max 50>20 undo f:1"}, s.told)
	require.Equal(t, "before", s.Source("shop/max"))
	require.Empty(t, s.Source("shop/min"))
	changed, _ := f.Changed()
	require.True(t, changed, "the waiters are told")
}

func TestPanicUndoesAll(t *testing.T) {
	for _, at := range []string{"check", "second check", "changed", "undo"} {
		t.Run(at, func(t *testing.T) {
			s := newShop(t)
			checks := 0
			s.open.Check = func(_, new int) error {
				checks++
				if at == "check" || at == "second check" && checks > 1 {
					panic(at)
				}
				if at == "undo" && checks > 1 {
					return errors.New("refused")
				}
				return nil
			}
			changed := s.min.Changed
			s.min.Changed = func(c sysctl.Change[int]) {
				if at == "undo" && strings.HasPrefix(c.Source, "undo") {
					panic(at)
				}
				changed(c)
			}
			s.open.Changed = func(sysctl.Change[int]) { panic(at) }
			file := settings("shop.max=50\nshop.min=5\nshop.open=1\n")
			require.PanicsWithValue(t, at, func() { _ = file.Apply(&s.Tree, sysctl.Root) })
			require.Equal(t, []int{1, 10, 0}, s.values())
			require.NoError(t, settings("shop.max=50\nshop.min=5").Apply(&s.Tree, sysctl.Root), "no lock is held")
			s.header.Unregister() // no call is in progress
		})
	}
}

func TestNewerValueOfAnotherWriterStays(t *testing.T) {
	s := newShop(t)
	s.open.Check = func(old, new int) error {
		if s.min.Load() != 1 {
			s.max.Store(77) // another goroutine, say
			return errors.New("closed")
		}
		return nil
	}
	require.Error(t, settings("shop.max=50\nshop.min=5\nshop.open=1\n").Apply(&s.Tree, sysctl.Root))
	require.Equal(t, []int{1, 77, 0}, s.values())
	require.Equal(t, "Store", s.Source("shop/max"))
}

// Each setting is checked against the present values. Parts that belong together are one value.
func TestSettingThatIsValidOnlyWithAnotherOneIsRefused(t *testing.T) {
	s := newShop(t)
	s.min.Check = func(_, new int) error {
		if new > s.max.Load() {
			return errors.New("above max")
		}
		return nil
	}
	require.ErrorContains(t, settings("shop.max=50\nshop.min=20").Apply(&s.Tree, sysctl.Root), "f:2: write shop/min: above max")
	require.Equal(t, []int{1, 10, 0}, s.values())

	type bounds struct{ Min, Max int }
	both := sysctl.NewVar(bounds{1, 10}, func(_, b bounds) error {
		if b.Min > b.Max {
			return errors.New("above max")
		}
		return nil
	})
	tree := put(t, both)
	require.NoError(t, settings(`x={"Min": 20, "Max": 50}`).Apply(tree, sysctl.Root))
	require.Equal(t, bounds{20, 50}, both.Load())
}

// An own is a handler that cannot be asked, as programs write them.
type own struct {
	text   string
	writes []string
	fails  map[string]error
	panics string
}

func (o *own) Read(r *sysctl.Request, p []byte) (int, error) {
	if err := o.fails["read"]; err != nil {
		return 0, err
	}
	n := copy(p, o.text[min(int(r.Pos), len(o.text)):])
	r.Pos += int64(n)
	return n, nil
}

func (o *own) Write(r *sysctl.Request, p []byte) (int, error) {
	o.writes = append(o.writes, strings.TrimSpace(string(p))+" "+r.Source)
	if o.panics != "" && strings.TrimSpace(string(p)) == o.panics {
		panic(o.panics)
	}
	if err := o.fails[strings.TrimSpace(string(p))]; err != nil {
		return 1, err // a count that means nothing
	}
	o.text = string(p)
	r.Pos += int64(len(p))
	return len(p), nil
}

func TestOwnHandlerIsPutBackByItsText(t *testing.T) {
	s := newShop(t)
	a, b := &own{text: "old\n", fails: map[string]error{}}, &own{fails: map[string]error{"bad": syscall.EIO}}
	_, err := s.Register("own", sysctl.Entry{Name: "a", Mode: 0o644, Handler: a}, sysctl.Entry{Name: "b", Mode: 0o644, Handler: b},
		sysctl.Entry{Name: "locked", Mode: 0o444, Handler: b})
	require.NoError(t, err)
	file := settings("shop.min=5\nown.a=new\nown.b=bad")
	require.NoError(t, file.Check(&s.Tree, sysctl.Root), "they cannot be asked")
	require.Empty(t, a.writes)
	require.ErrorIs(t, settings("own.a=new\nown.locked=1").Apply(&s.Tree, sysctl.Root), syscall.EACCES)
	require.Empty(t, a.writes, "but their modes are known")

	errs := failures(t, file.Apply(&s.Tree, sysctl.Root))
	require.Len(t, errs, 2)
	require.ErrorIs(t, errs[0], syscall.EIO)
	require.EqualError(t, errs[1], "sysctl: f:3: it is not put back: it had no text", "it may have stored a part")
	require.Equal(t, []string{"new f:2", "old undo f:2"}, a.writes)
	require.Equal(t, "old\n", a.text)
	require.Equal(t, []int{1, 10, 0}, s.values())

	a.fails["old"] = syscall.EBUSY
	b.text = "b\n"
	errs = failures(t, file.Apply(&s.Tree, sysctl.Root))
	require.Len(t, errs, 2)
	require.Equal(t, 2, errs[1].Line)
	require.Equal(t, "own.a", errs[1].Key)
	require.ErrorIs(t, errs[1], syscall.EBUSY)
	require.Equal(t, []int{1, 10, 0}, s.values(), "the others are put back nevertheless")

	b.panics = "bad"
	a.text, a.fails = "old\n", map[string]error{}
	require.PanicsWithValue(t, "bad", func() { _ = file.Apply(&s.Tree, sysctl.Root) })
	require.Equal(t, "old\n", a.text)
	require.Equal(t, []int{1, 10, 0}, s.values())
	b.panics = ""

	a.fails = map[string]error{"read": syscall.EPERM}
	errs = failures(t, file.Apply(&s.Tree, sysctl.Root))
	require.ErrorContains(t, errs[1], "it is not put back: its text could not be read")
	require.ErrorIs(t, errs[1], syscall.EPERM)
}

// The wrapper sees the way back too, and the variable goes back once.
func TestWrappedHandlerIsPutBackOnce(t *testing.T) {
	s := newShop(t)
	_, err := s.Register("own", sysctl.Entry{Name: "max", Mode: 0o644, Handler: struct{ sysctl.Handler }{s.max}},
		sysctl.Entry{Name: "bad", Mode: 0o644, Handler: &own{text: "x\n", fails: map[string]error{"bad": syscall.EIO}}})
	require.NoError(t, err)
	require.Len(t, failures(t, settings("own.max=50\nown.bad=bad").Apply(&s.Tree, sysctl.Root)), 1)
	require.Equal(t, []string{"max 10>50 f:1", "max 50>10 undo f:1"}, s.told)
}

// Neither a dry write nor one that is put back leaves a trace in a stock handler.
func TestEachHandlerCanBeAskedAndPutBack(t *testing.T) {
	ints, pair, ulongs := new(sysctl.Vec[int32]), new(sysctl.Vec[int32]), new(sysctl.Vec[uint64])
	ints.Store(1, 2, 3)
	pair.Store(1, 2)
	ulongs.Store(1, 2)
	bits := sysctl.NewBitmap(1 << 16)
	bits.Set(3, 5)
	truth, octet, word, number, name := new(sysctl.Var[bool]), new(sysctl.Var[uint8]), new(sysctl.Var[uint32]), new(sysctl.Var[int32]), new(sysctl.Var[string])
	name.Store("old")
	tree := new(sysctl.Tree)
	last := sysctl.NewVar(0, func(_, new int) error {
		if truth.Load() { // all are stored
			return errors.New("no")
		}
		return nil
	})
	texts := map[string]string{}
	for text, h := range map[string]sysctl.Handler{
		"7 8":          sysctl.DoIntVec(ints),
		"7 8\t":        pair,
		"7\t8":         sysctl.DoUlongVecMinMax(ulongs, 0, 10),
		longList(t):    sysctl.DoLargeBitmap(bits),
		"7":            sysctl.DoBool(truth),
		"0x7":          sysctl.DoUintMinMax(octet, 0, 9),
		"07":           sysctl.DoUint(word),
		"70":           sysctl.DoJiffies(number, time.Millisecond, math.MinInt32, math.MaxInt32),
		"new":          sysctl.DoString(name, 16),
		"7s":           new(sysctl.Var[time.Duration]),
		"-1":           sysctl.DoWritesStrict(tree),
		"1":            sysctl.DoStaticKey(new(sysctl.Var[bool])),
		`["a", "b",3]`: &sysctl.Var[any]{},
	} {
		path := fmt.Sprintf("k/x%02d", len(texts))
		texts[path] = text
		_, err := tree.Register("k", sysctl.Entry{Name: path[2:], Mode: 0o644, Handler: h})
		require.NoError(t, err)
	}
	_, err := tree.Register("", sysctl.Entry{Name: "z", Mode: 0o644, Handler: last})
	require.NoError(t, err)
	all := func() (texts []string) {
		require.NoError(t, tree.Walk(func(path string, e sysctl.Entry) error {
			text, err := tree.ReadFile(sysctl.Root, path)
			texts = append(texts, string(text)+tree.Source(path))
			return err
		}))
		return texts
	}
	before := all()
	var lines strings.Builder
	for path, text := range texts {
		fmt.Fprintf(&lines, "%s=%s\n", path, text)
	}
	good := settings(lines.String())
	require.NoError(t, good.Check(tree, sysctl.Root))
	require.Equal(t, before, all())
	bad := settings(lines.String() + "z=1")
	require.NoError(t, bad.Check(tree, sysctl.Root))
	require.Len(t, failures(t, bad.Apply(tree, sysctl.Root)), 1)
	require.Equal(t, before, all())
	require.NoError(t, good.Apply(tree, sysctl.Root))
	for i, text := range all()[:len(texts)] {
		require.NotEqual(t, before[i], text)
		require.Contains(t, text, "f:")
	}
	require.EqualValues(t, sysctl.Legacy, tree.WriteMode())
}

// A newer value stays in the handlers that are no Var too.
func TestNewerValueStaysInEachHandler(t *testing.T) {
	var tree sysctl.Tree
	pair, truth, word, name, bits, wait := new(sysctl.Vec[int32]), new(sysctl.Var[bool]), new(sysctl.Var[uint32]), new(sysctl.Var[string]), sysctl.NewBitmap(9), new(sysctl.Var[time.Duration])
	pair.Store(1, 2)
	last := sysctl.NewVar(0, func(_, new int) error {
		if !truth.Load() {
			return nil
		}
		pair.Store(5, 6)
		word.Store(5)
		name.Store("newer")
		bits.Set(8, 8)
		wait.Store(5)
		tree.SetWriteMode(sysctl.Warn)
		return errors.New("no")
	})
	for name, h := range map[string]sysctl.Handler{
		"a": sysctl.DoIntVec(pair), "b": sysctl.DoUint(word), "c": sysctl.DoString(name, 9), "d": sysctl.DoLargeBitmap(bits),
		"e": wait, "f": sysctl.DoBool(truth), "g": last, "h": sysctl.DoWritesStrict(&tree),
	} {
		_, err := tree.Register("", sysctl.Entry{Name: name, Mode: 0o644, Handler: h})
		require.NoError(t, err)
	}
	require.Error(t, settings("a=3 4\nb=3\nc=c\nd=1\ne=3s\nh=-1\nf=1\ng=1").Apply(&tree, sysctl.Root))
	require.Equal(t, []int32{5, 6}, pair.Load())
	require.EqualValues(t, 5, word.Load())
	require.Equal(t, "newer", name.Load())
	require.True(t, bits.Has(8) && bits.Has(1))
	require.EqualValues(t, 5, wait.Load())
	require.EqualValues(t, sysctl.Warn, tree.WriteMode())
	require.False(t, truth.Load())
}

func TestEntryThatGoesMeanwhile(t *testing.T) {
	s := newShop(t)
	y, told := sysctl.NewVar(1), 0
	y.Changed = func(sysctl.Change[int]) { told++ }
	header, err := s.Register("x", sysctl.Entry{Name: "y", Mode: 0o644, Handler: y})
	require.NoError(t, err)
	s.min.Changed = func(sysctl.Change[int]) { header.Unregister() }
	errs := failures(t, settings("x.y=2\nshop.min=5\nx.y=3").Apply(&s.Tree, sysctl.Root))
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], syscall.ENOENT)
	require.Equal(t, []int{1, 10, 0}, s.values())
	require.Equal(t, []int{2, 1}, []int{y.Load(), told}, "after an Unregister nothing calls the handler")
}

// The one warning of a tree is for a write, not for a check.
func TestCheckDoesNotWarn(t *testing.T) {
	warned := 0
	tree := put(t, sysctl.DoIntVec(new(sysctl.Var[int32])))
	tree.Warn = func(string) { warned++ }
	tree.SetWriteMode(sysctl.Warn)
	file := settings("x=5 6") // in two writes, of which the second is not at the beginning
	require.NoError(t, file.Check(tree, sysctl.Root))
	require.Zero(t, warned)
	require.NoError(t, file.Apply(tree, sysctl.Root))
	require.Equal(t, 1, warned)
}

func TestUnknownKeysAreToldOf(t *testing.T) {
	s := newShop(t)
	var keys []string
	file := sysctl.Settings{Unknown: func(e *sysctl.SettingError) { keys = append(keys, fmt.Sprint(e.File, e.Line, e.Key)) }}
	file.System(fstest.MapFS{"etc/sysctl.d/x.conf": {Data: []byte("shop.mim=1\nshop.min=2\nshop.min.x=3\n-shop.maz=1\nshop.z*=3")}})
	require.NoError(t, file.Check(&s.Tree, sysctl.Root))
	require.NoError(t, file.Apply(&s.Tree, sysctl.Root))
	unknown := []string{"etc/sysctl.d/x.conf1shop.mim", "etc/sysctl.d/x.conf3shop.min.x"}
	require.Equal(t, slices.Concat(unknown, unknown), keys)
	require.Equal(t, []int{2, 10, 0}, s.values())
	file.Partial = true
	require.NoError(t, file.Apply(&s.Tree, sysctl.Root))
	require.Len(t, keys, 6)
}

func TestOneSettingFromText(t *testing.T) {
	s := newShop(t)
	var set sysctl.Settings
	for _, text := range []string{"shop.min=5", " shop/max = 50 \n", "-shop.none=1", `shop.o* := "1"`, "-shop.x"} {
		require.NoError(t, set.Set(text))
	}
	for _, text := range []string{"", "shop.min", "=5", "#shop.min=5", ";", "-", "--", "a=1\nb=2", "a.[=1", `a := "x`, "a=\x00"} {
		err := set.Set(text)
		require.ErrorIs(t, err, sysctl.ErrSyntax, "%q", text)
		var e *sysctl.SettingError
		require.ErrorAs(t, err, &e)
		require.True(t, strings.HasPrefix(err.Error(), "sysctl: \""), err)
	}
	require.NoError(t, set.Apply(&s.Tree, sysctl.Root))
	require.Equal(t, []int{5, 50, 1}, s.values())
	require.Equal(t, "Set shop/min", s.Source("shop/min"))
	require.NoError(t, set.Set("shop.max=1000"))
	err := set.Apply(&s.Tree, sysctl.Root)
	require.EqualError(t, failures(t, err)[0], "sysctl: write shop/max: 1000 is not from 0 to 100: "+syscall.EINVAL.Error())
}

func TestReaderThatFailsIsAFault(t *testing.T) {
	s := newShop(t)
	var file sysctl.Settings
	require.NoError(t, file.Set("shop.min=5"))
	file.Read("-", iotest.ErrReader(syscall.EIO))
	err := file.Apply(&s.Tree, sysctl.Root)
	require.ErrorIs(t, err, syscall.EIO)
	require.EqualError(t, failures(t, err)[0], "sysctl: -: "+syscall.EIO.Error())
	require.Equal(t, []int{1, 10, 0}, s.values())
}

// Names of the machine are as people write them.
func TestFilesOfTheMachine(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "usr"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o700))
	for name, text := range map[string]string{"usr/1.conf": "a=usr 1", "usr/2.conf": "a=usr 2", "etc/2.conf": "a=etc 2", "etc/.3.conf": "a=3", "x": "a=x"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	b := newBook(t)
	require.NoError(t, b.LoadDirs(sysctl.Root, nil, filepath.Join(root, "etc"), filepath.Join(root, "none"), filepath.Join(root, "usr")))
	require.Equal(t, []string{"a=3\n", "a=usr 1\n", "a=etc 2\n"}, b.written)
	require.NoError(t, b.Load(sysctl.Root, nil, filepath.Join(root, "x"), filepath.Join(root, "*", "*.conf")))
	require.Equal(t, []string{"a=x\n", "a=etc 2\n", "a=usr 1\n", "a=usr 2\n"}, b.written[3:])
	none := filepath.Join(root, "none")
	err := b.Load(sysctl.Root, nil, none)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, filepath.ToSlash(none), failures(t, err)[0].File)
	t.Chdir(root)
	require.NoError(t, b.Load(sysctl.Root, nil, "./x", "usr/../x"))
	require.Equal(t, []string{"a=x\n", "a=x\n"}, b.written[7:])
	require.NoError(t, os.WriteFile("etc/sysctl.conf", []byte("a=relative"), 0o600))
	_ = b.LoadSystem(sysctl.Root, nil)
	require.NotContains(t, b.written, "a=relative\n", "the root is the machine's")
	var s sysctl.Settings
	s.System(nil) // of this machine, and without a fault of reading in all that is tested
	require.NotPanics(t, func() { _ = s.Check(&b.Tree, sysctl.Nobody) })
}

// Two loaders at once: at the end all values are from one of them, though some files are
// refused in the middle, and a third writer writes another entry.
func TestHammerLoadersAreAllOrNothing(t *testing.T) {
	const n = 5
	var tree sysctl.Tree
	vars := make([]*sysctl.Var[int], n)
	for i := range vars {
		vars[i] = sysctl.NewVar(0)
		_, err := tree.Register("v", sysctl.Entry{Name: fmt.Sprint(i), Mode: 0o644, Handler: vars[i]})
		require.NoError(t, err)
	}
	asked := 0 // a check and a write are two calls
	moody := sysctl.NewVar(0, func(_, new int) error {
		if asked++; asked%3 == 0 {
			return errors.New("not now")
		}
		return nil
	})
	other := new(sysctl.Var[int32])
	_, err := tree.Register("v", sysctl.Entry{Name: "moody", Mode: 0o644, Handler: moody}, sysctl.Entry{Name: "other", Mode: 0o644, Handler: sysctl.DoIntVec(other)})
	require.NoError(t, err)
	last := sysctl.NewVar(0) // of the last Apply that has succeeded
	last.Changed = func(c sysctl.Change[int]) {
		for i, v := range vars {
			if v.Load() != c.New {
				t.Errorf("%d is %d, and not %d", i, v.Load(), c.New)
			}
		}
	}
	_, err = tree.Register("w", sysctl.Entry{Name: "last", Mode: 0o644, Handler: last})
	require.NoError(t, err)
	hammer(t, func(r *rand.Rand) {
		if r.IntN(4) == 0 {
			_ = tree.WriteFile(sysctl.Root, "v/other", fmt.Append(nil, r.Int32()))
			return
		}
		value := r.Int32()
		_ = settings(fmt.Sprintf("v.[0-9]=%d\nv.moody=1\nw.last=%d", value, value)).Apply(&tree, sysctl.Root)
	})
	for i, v := range vars {
		require.Equal(t, last.Load(), v.Load(), "%d", i)
	}
	require.NotZero(t, last.Load())
}
