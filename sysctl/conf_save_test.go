package sysctl_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

func saved(t *testing.T, tree *sysctl.Tree) string {
	var text bytes.Buffer
	require.NoError(t, tree.Save(sysctl.Root, &text))
	return text.String()
}

func TestSaveWritesWhatDiffersFromRegister(t *testing.T) {
	var tree sysctl.Tree
	motd, rate, size, pair := sysctl.NewVar("hello"), sysctl.NewVar(1.5), new(sysctl.Var[int32]), new(sysctl.Vec[int32])
	own, unset := &own{text: "own\n"}, &own{text: "own\n"}
	pair.Store(1, 2)
	_, err := tree.Register("net/eth0.1",
		sysctl.Entry{Name: "motd", Mode: 0o644, Handler: motd},
		sysctl.Entry{Name: "rate", Mode: 0o644, Handler: rate},
		sysctl.Entry{Name: "size", Mode: 0o600, Handler: sysctl.DoIntVec(size)},
		sysctl.Entry{Name: "pair", Mode: 0o644, Handler: sysctl.DoIntVec(pair)},
		sysctl.Entry{Name: "own", Mode: 0o644, Handler: own},
		sysctl.Entry{Name: "unset", Mode: 0o644, Handler: unset},
		sysctl.Entry{Name: "now", Mode: 0o444, Handler: sysctl.Func(func() string { return fmt.Sprint(time.Now()) })},
		sysctl.Entry{Name: "seen", Mode: 0o444, Handler: &sysctl.Var[int]{Format: func(int) string { return fmt.Sprint(size.Load()) }}},
		sysctl.Entry{Name: "locked", Mode: 0o444, Handler: sysctl.DoIntVec(size)})
	require.NoError(t, err)
	require.Empty(t, saved(t, &tree))
	motd.Store(" two\nlines ")
	rate.Store(2)
	rate.Store(1.5) // as it was
	size.Store(7)
	pair.Store(3, 4)
	require.NoError(t, tree.WriteFile(sysctl.Root, "net/eth0.1/own", []byte("new\n")))
	want := "net.eth0/1.motd := \" two\\nlines \"\nnet.eth0/1.own = new\nnet.eth0/1.pair = 3\t4\nnet.eth0/1.size = 7\n"
	require.Equal(t, want, saved(t, &tree))

	motd.Store("x")
	size.Store(0)
	pair.Store(0, 0)
	own.text = ""
	require.NoError(t, settings(want).Apply(&tree, sysctl.Root))
	own.text = "new\n"
	require.Equal(t, want, saved(t, &tree))
	require.Equal(t, " two\nlines ", motd.Load())

	var text bytes.Buffer
	require.NoError(t, tree.Save(sysctl.Nobody, &text))
	require.Empty(t, text.String(), "a stranger may write nothing")
}

func TestSaveRefusesWhatNoLineGivesBack(t *testing.T) {
	var tree sysctl.Tree
	name, size, list, ticks := new(sysctl.Var[string]), new(sysctl.Var[int32]), new(sysctl.Vec[int32]), new(sysctl.Var[int32])
	trimmed := &sysctl.Var[string]{Parse: func(text string) (string, error) { return strings.TrimSpace(text), nil }, Format: func(v string) string { return v }}
	own := &own{fails: map[string]error{}}
	list.Store(1)
	_, err := tree.Register("k",
		sysctl.Entry{Name: "name", Mode: 0o644, Handler: sysctl.DoString(name, 8)},
		sysctl.Entry{Name: "size", Mode: 0o644, Handler: sysctl.DoIntVecMinMax(size, 0, 9)},
		sysctl.Entry{Name: "list", Mode: 0o644, Handler: sysctl.DoIntVec(list)},
		sysctl.Entry{Name: "own", Mode: 0o644, Handler: own},
		sysctl.Entry{Name: "ticks", Mode: 0o644, Handler: sysctl.DoJiffies(ticks, 10*time.Millisecond, math.MinInt32, math.MaxInt32)},
		sysctl.Entry{Name: "trimmed", Mode: 0o644, Handler: trimmed})
	require.NoError(t, err)
	require.NoError(t, tree.WriteFile(sysctl.Root, "k/own", []byte("x\n")))
	own.fails["read"] = syscall.EIO
	size.Store(10)
	ticks.Store(3)
	trimmed.Store(" x")
	list.Store(make([]int32, 2100)...)
	for value, why := range map[string]string{"a\nb": `a write of "a\nb" would make it "a"`, "a\x00": `would make it "a"`, "12345678": `would make it "1234567"`} {
		name.Store(value)
		var text bytes.Buffer
		errs := failures(t, tree.Save(sysctl.Root, &text))
		require.Empty(t, text.String())
		require.Len(t, errs, 6)
		require.ErrorContains(t, errs[0], "sysctl: k/list is not saved: a write of \"0\\t0")
		require.ErrorContains(t, errs[1], "sysctl: k/name is not saved: ")
		require.ErrorContains(t, errs[1], why)
		require.ErrorContains(t, errs[2], "k/own is not saved: "+syscall.EIO.Error())
		require.ErrorContains(t, errs[3], "k/size is not saved: 10 is not from 0 to 9")
		require.ErrorContains(t, errs[4], `k/ticks is not saved: a write of "1" would make it "0"`) // as the kernel rounds
		require.ErrorContains(t, errs[5], `k/trimmed is not saved: a write of " x" would make it "x"`)
		require.Equal(t, "k.size", errs[3].Key)
	}
	name.Store(" ;x")
	var text bytes.Buffer
	require.Len(t, failures(t, tree.Save(sysctl.Root, &text)), 5, "the others are saved")
	require.Equal(t, "k.name := \" ;x\"\n", text.String())
	require.ErrorIs(t, tree.Save(sysctl.Root, full{}), syscall.ENOSPC)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Quotes are for the values that need them. The other values are as sysctl(8) reads them.
func TestLinesOfSave(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"net/core/x", "4096", "net.core.x = 4096"},
		{"x", "", "x = "},
		{"x", "# no comment", "x = # no comment"},
		{"x", "; no comment", "x = ; no comment"},
		{"x", `"quotes" a=b`, `x = "quotes" a=b`},
		{"x", "1\t2", "x = 1\t2"},
		{"x", "caf\u00e9", "x = caf\u00e9"},
		{"x", " ", `x := " "`},
		{"x", "a\t", `x := "a\t"`},
		{"x", "\va", `x := "\va"`},
		{"x", "a\nb", `x := "a\nb"`},
		{"x", "\x1b[0m", `x := "\x1b[0m"`},
		{"x", "\xff", `x := "\xff"`},
		{"x", "\u00a0", `x := "\u00a0"`},
		{"x:", "1", "x: = 1"},
		{"x:", `"1"`, `x: := "\"1\""`},
		{"eth0.1/x", "1", "/eth0.1/x = 1"},
		{"a/eth0.1", "1", "a.eth0/1 = 1"},
		{"#x", "1", "/#x = 1"},
		{"-x", "1", "/-x = 1"},
		{" x/y", "1", "/ x/y = 1"},
		{"\ufeffx", "1", "/\ufeffx = 1"},
		{`a*\`, "1", `/a\*\\ = 1`},
		{`a\b`, "1", `a\b = 1`},
	} {
		require.Equal(t, c.want+"\n", sysctl.LineOf(c.path, c.value))
	}
}

// A kind is a handler, and how a program sets its value from a fuzzer's.
type kind struct {
	handler sysctl.Handler
	set     func(n int64, text string)
}

func varOf[T any](v *sysctl.Var[T], value func(n int64, text string) T) kind {
	return kind{v, func(n int64, text string) { v.Store(value(n, text)) }}
}

// kinds are of all handlers, with the values to start with.
func kinds() map[string]kind {
	one, two, ms, three, whole := new(sysctl.Var[int32]), new(sysctl.Var[int32]), new(sysctl.Var[int32]), new(sysctl.Vec[int32]), new(sysctl.Vec[int32])
	word, octet, long, longs := new(sysctl.Var[uint32]), new(sysctl.Var[uint8]), new(sysctl.Var[uint64]), new(sysctl.Vec[uint64])
	truth, key, name, bits, wait := new(sysctl.Var[bool]), new(sysctl.Var[bool]), new(sysctl.Var[string]), sysctl.NewBitmap(6000), new(sysctl.Var[time.Duration])
	three.Store(0, 0, 0)
	whole.Store(0, 0, 0)
	longs.Store(0, 0)
	own := new(own)
	return map[string]kind{
		"int":      {sysctl.DoIntVec(one), func(n int64, _ string) { one.Store(int32(n)) }},
		"bounded":  {sysctl.DoIntVecMinMax(two, -10, 100), func(n int64, _ string) { two.Store(int32(n)) }},
		"ms":       {sysctl.DoJiffies(ms, time.Millisecond, math.MinInt32, math.MaxInt32), func(n int64, _ string) { ms.Store(int32(n)) }},
		"ints":     {sysctl.DoIntVec(three), func(n int64, _ string) { three.Store(int32(n), int32(n>>8), -1) }},
		"whole":    {whole, func(n int64, _ string) { whole.Store(int32(n), int32(n>>8), -1) }},
		"uint":     {sysctl.DoUint(word), func(n int64, _ string) { word.Store(uint32(n)) }},
		"uint8":    {sysctl.DoUintMinMax(octet, 0, 255), func(n int64, _ string) { octet.Store(uint8(n)) }},
		"ulong":    {sysctl.DoUlongVecMinMax(long, 0, math.MaxUint64), func(n int64, _ string) { long.Store(uint64(n)) }},
		"ulongs":   {sysctl.DoUlongVecMinMax(longs, 0, math.MaxUint64), func(n int64, _ string) { longs.Store(uint64(n), 7) }},
		"bool":     {sysctl.DoBool(truth), func(n int64, _ string) { truth.Store(n&1 != 0) }},
		"key":      {sysctl.DoStaticKey(key), func(n int64, _ string) { key.Store(n&1 != 0) }},
		"string":   {sysctl.DoString(name, 100), func(_ int64, text string) { name.Store(text) }},
		"duration": {wait, func(n int64, _ string) { wait.Store(time.Duration(n)) }},
		"bits": {sysctl.DoLargeBitmap(bits), func(n int64, text string) {
			for i, c := range []byte(text) {
				bits.Set(i%20*256+int(c), i%20*256+int(c))
			}
		}},
		"own":    {own, func(_ int64, text string) { own.text = text }},
		"text":   varOf(sysctl.NewVar(""), func(_ int64, text string) string { return text }),
		"bytes":  varOf(sysctl.NewVar([]byte("x")), func(_ int64, text string) []byte { return []byte(text) }),
		"float":  varOf(sysctl.NewVar(0.0), func(n int64, _ string) float64 { return math.Float64frombits(uint64(n)) }),
		"on":     varOf(sysctl.NewVar(false), func(n int64, _ string) bool { return n&1 != 0 }),
		"time":   varOf(sysctl.NewVar(time.Duration(0)), func(n int64, _ string) time.Duration { return time.Duration(n) }),
		"size":   varOf(sysctl.NewVar(sysctl.Bytes(0)), func(n int64, _ string) sysctl.Bytes { return sysctl.Bytes(n) }),
		"list":   varOf(sysctl.NewVar([]string{}), func(_ int64, text string) []string { return strings.Split(text, "|") }),
		"sizes":  varOf(sysctl.NewVar([]sysctl.Bytes{}), func(n int64, _ string) []sysctl.Bytes { return []sysctl.Bytes{sysctl.Bytes(n), 1} }),
		"struct": varOf(sysctl.NewVar(limits{}), func(n int64, text string) limits { return limits{float64(n), sysctl.Bytes(n), []string{text}} }),
		"map":    varOf(sysctl.NewVar(map[string]int64{}), func(n int64, text string) map[string]int64 { return map[string]int64{text: n} }),
		"any":    varOf(sysctl.NewVar[any](nil), func(_ int64, text string) any { return text }),
	}
}

// FuzzSave saves a tree and loads it into another one: all texts are the same. A value
// that is not saved has an error.
//
//	go test ./sysctl -run - -fuzz FuzzSave -fuzztime 60s
func FuzzSave(f *testing.F) {
	for _, text := range []string{
		"", "x", " ", " x ", "x\n", "\n", "\n\nx\n\n", "# x", "; x", "-x", "=", "a=b", `"x"`, `"`, `\`, "\x00", "\x1b", "\xff\xfe", "\u00a0", "\u2028",
		"\ufeff", "a.b/c", "a|b,c| d|", "1 2 3", "\t", "\v\f\r", "x\r\n", strings.Repeat("x", 99), strings.Repeat("x", 100), strings.Repeat("\n", 5000), "[!a]*?\\",
	} {
		f.Add("net/core", int64(len(text)), text)
		f.Add(text, int64(-1), text)
		f.Add("eth0.1/"+text, int64(math.MaxInt64), "a\nb")
		f.Add(text+":", int64(math.MinInt64), "x")
	}
	f.Fuzz(func(t *testing.T, dir string, n int64, text string) {
		if len(text) > 1<<16 {
			return
		}
		var from, to sysctl.Tree
		start, loaded := kinds(), kinds()
		for name, k := range start {
			if _, err := from.Register(dir, sysctl.Entry{Name: name, Mode: 0o644, Handler: k.handler}); err != nil {
				require.ErrorIs(t, err, sysctl.ErrName)
				return
			}
			_, err := to.Register(dir, sysctl.Entry{Name: name, Mode: 0o644, Handler: loaded[name].handler})
			require.NoError(t, err)
		}
		lost := map[string]bool{}
		var file bytes.Buffer
		require.NoError(t, from.Save(sysctl.Root, &file))
		require.Empty(t, file.String())
		require.NoError(t, from.Walk(func(path string, e sysctl.Entry) error {
			if e.Name == "own" {
				require.NoError(t, from.WriteFile(sysctl.Root, path, []byte("x\n")))
			}
			start[e.Name].set(n, text)
			return nil
		}))
		for _, e := range failures(t, from.Save(sysctl.Root, &file)) {
			path := sysctl.Path(e.Key)
			name := path[strings.LastIndexByte(path, '/')+1:]
			lost[name] = true
		}
		for name := range lost {
			may := []string{"bounded", "string", "ms"}
			if !utf8.ValidString(text) {
				may = append(may, "map", "struct", "any") // JSON has no such bytes
			}
			require.Contains(t, may, name)
		}
		require.True(t, !lost["ms"] || int32(n) > math.MaxInt32/4 || int32(n) < 0, "a time that its text cannot have")
		require.Equal(t, int32(n) < -10 || int32(n) > 100, lost["bounded"])
		require.Equal(t, len(text) > 99 || strings.ContainsAny(text, "\n\x00"), lost["string"])
		require.NoError(t, to.Load(sysctl.Root, nil), "no file")
		var s sysctl.Settings
		s.Read("saved", &file)
		require.NoError(t, s.Apply(&to, sysctl.Root), file.String())
		require.NoError(t, from.Walk(func(path string, e sysctl.Entry) error {
			want, err := from.ReadFile(sysctl.Root, path)
			require.NoError(t, err)
			is, err := to.ReadFile(sysctl.Root, path)
			require.NoError(t, err)
			switch {
			case lost[e.Name]:
			case e.Name == "own" && text != "" && !strings.HasSuffix(text, "\n"):
				require.Equal(t, string(want)+"\n", string(is)) // each line of a file ends
			default:
				require.Equal(t, string(want), string(is), "%s of %q", path, file.String())
			}
			return nil
		}))
	})
}

// Each byte of a name and of a value comes back.
func TestEachByteIsSaved(t *testing.T) {
	for c := range 0x100 {
		for _, text := range []string{string([]byte{byte(c)}), "x" + string([]byte{byte(c)}), string([]byte{byte(c)}) + "x"} {
			var tree sysctl.Tree
			v := sysctl.NewVar("start")
			path, dir, name := "", "", text
			if _, err := tree.Register(dir, sysctl.Entry{Name: name, Mode: 0o644, Handler: v}); err != nil {
				name = "x"
				_, err := tree.Register(dir, sysctl.Entry{Name: name, Mode: 0o644, Handler: v})
				require.NoError(t, err)
			}
			path = name
			v.Store(text)
			line := saved(t, &tree)
			v.Store("other")
			require.NoError(t, settings(line).Apply(&tree, sysctl.Root), "%q", line)
			require.Equal(t, text, v.Load(), "%q", line)
			require.Equal(t, "f:1", tree.Source(path))
		}
	}
}

// A Store of the program is a source too, whichever handler the variable has.
func TestSourceOfAStore(t *testing.T) {
	for name, k := range kinds() {
		tree := put(t, k.handler)
		if name == "own" {
			continue // which has no Store
		}
		require.Empty(t, strings.TrimPrefix(tree.Source("x"), "Store"), name)
		require.NoError(t, tree.WriteFrom("a file", sysctl.Root, "x", []byte(shown(t, tree))), name)
		require.Equal(t, "a file", tree.Source("x"), name)
		k.set(1, "x")
		require.Equal(t, "Store", tree.Source("x"), name)
	}
}

func TestSourceOfAValue(t *testing.T) {
	var tree sysctl.Tree
	v, n, f := sysctl.NewVar(1), new(sysctl.Var[int32]), 0
	_, err := tree.Register("k", sysctl.Entry{Name: "v", Mode: 0o644, Handler: v}, sysctl.Entry{Name: "n", Mode: 0o644, Handler: sysctl.DoIntVecMinMax(n, 0, 9)},
		sysctl.Entry{Name: "f", Mode: 0o444, Handler: sysctl.Func(func() string { f++; return fmt.Sprint(f) })})
	require.NoError(t, err)
	for _, path := range []string{"k/v", "k/n", "k/f", "k", "k/none", ""} {
		require.Empty(t, tree.Source(path))
	}
	require.NoError(t, settings("k.v=2\n\nk.n=2").Apply(&tree, sysctl.Root))
	require.Equal(t, []string{"f:1", "f:3"}, []string{tree.Source("k/v"), tree.Source("k/n")})
	require.Error(t, tree.WriteFile(sysctl.Root, "k/v", []byte("x")))
	require.Error(t, tree.WriteFile(sysctl.Root, "k/n", []byte("x")))
	require.Equal(t, []string{"f:1", "f:3"}, []string{tree.Source("k/v"), tree.Source("k/n")}, "a refused write sets nothing")
	require.NoError(t, settings("k.v=3\nk.n=3").Check(&tree, sysctl.Root))
	require.Equal(t, []string{"f:1", "f:3"}, []string{tree.Source("k/v"), tree.Source("k/n")}, "nor does a check")
	require.NoError(t, v.Set("5"))
	require.Equal(t, "Set k/v", tree.Source("k/v"))
	v.Store(1)
	require.Equal(t, "Store", tree.Source("k/v"))
	require.NoError(t, tree.WriteFile(sysctl.Root, "/k//n", []byte("5")))
	require.Equal(t, "WriteFile", tree.Source("/k/n"))
	mine := &own{fails: map[string]error{"bad": syscall.EIO}}
	_, err = tree.Register("own", sysctl.Entry{Name: "x", Mode: 0o644, Handler: mine})
	require.NoError(t, err)
	require.NoError(t, settings("own.x=1").Apply(&tree, sysctl.Root))
	require.Error(t, tree.WriteFile(sysctl.Root, "own/x", []byte("bad")))
	require.Equal(t, "f:1", tree.Source("own/x"))
	v.Changed = func(sysctl.Change[int]) { panic("no") }
	require.Panics(t, func() { _ = v.Set("6") })
	require.Equal(t, "Store", tree.Source("k/v"))
}
