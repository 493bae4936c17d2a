package sysctl_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// TestObserved does what was done to the sysctls of real kernels, and compares
// what comes of it: result, errno, position, and the value after. It prints how
// many cases there were, and each that cannot be done here, with the reason.
//
//	go test ./sysctl -run TestObserved -v
//
// KPRIM_OBSERVED names another directory with such files.
func TestObserved(t *testing.T) {
	dir := cmp.Or(os.Getenv("KPRIM_OBSERVED"), "testdata")
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl*"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "in %s", dir)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { testObserved(t, file) })
	}
}

func testObserved(t *testing.T, file string) {
	meta, cases := readObserved(t, file)
	agreed, differing := 0, 0
	left := map[string]int{}
	modes := map[string]fs.FileMode{} // of the entries; not every case has it
	for _, c := range cases {
		if mode, err := strconv.ParseUint(c.Mode, 8, 32); err == nil {
			modes[c.Entry] = fs.FileMode(mode)
		}
	}
	for i, c := range cases {
		c.hz, c.table, c.mode = meta.HZ, meta.Entries[c.Entry], modes[c.Entry]
		got, reason := c.run()
		if reason != "" {
			left[fmt.Sprintf("%s of %s: %s", c.Op, c.Entry, reason)]++
			continue
		}
		if want := c.observed(); !reflect.DeepEqual(got, want) {
			differing++
			if differing <= 20 {
				t.Errorf("case %d: %s of %s (%s %s) with %.80q from %q\n got %+v\nwant %+v",
					i+1, c.Op, c.Entry, c.Handler, c.Wrapper, c.inputs(), deref(c.Before), got, want)
			}
			continue
		}
		agreed++
	}
	t.Logf("%d cases: %d agree, %d differ, %d cannot be done here:", len(cases), agreed, differing, len(cases)-agreed-differing)
	for _, what := range slices.Sorted(maps.Keys(left)) {
		t.Logf("%5d %s", left[what], what)
	}
	require.Zero(t, differing)
}

type observedMeta struct {
	HZ      int
	Entries map[string]observedTable
}

// An observedTable is what is known of an entry.
type observedTable struct {
	Handler  string
	Min, Max *json.Number
	Nvals    *int
	Maxlen   *int
}

// An observedCase is what was done to an entry and what came of it. Where a
// system call was done several times, there are lists.
type observedCase struct {
	Handler, Entry, Wrapper, Op string
	Before, After               *string
	InputHex                    json.RawMessage `json:"input_hex"`
	InputRuns                   [][]any         `json:"input_runs"`
	Result, Errno, Data         json.RawMessage
	Sizes                       json.RawMessage
	Offset                      int64
	Between                     []string
	PosAfter                    json.RawMessage `json:"pos_after"`
	Mode                        string
	IDs                         *struct {
		UID, GID int
		Groups   []int
	}

	What string
	Stat *struct {
		Mode string
		Size int64
	}

	hz    int
	table observedTable
	mode  fs.FileMode // 0 if it is not known
}

// An outcome is what came of a case.
type outcome struct {
	Result  []int64
	Errno   []string
	Pos     []int64
	Data    []string
	Between []string
	Polled  []string
	After   string
}

func readObserved(t *testing.T, file string) (observedMeta, []observedCase) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		r, err = gzip.NewReader(f)
		require.NoError(t, err)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<26)
	var meta observedMeta
	require.True(t, lines.Scan())
	require.NoError(t, json.Unmarshal(lines.Bytes(), &meta))
	require.NotEmpty(t, meta.Entries)
	var cases []observedCase
	for lines.Scan() {
		var c observedCase
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c), lines.Text())
		cases = append(cases, c)
	}
	require.NoError(t, lines.Err())
	return meta, cases
}

// many decodes a value, or a list of them.
func many[T any](raw json.RawMessage) []T {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var list []T
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		panic(fmt.Sprintf("%s: %v", raw, err))
	}
	return []T{one}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return latin1(*s)
}

// latin1 returns the bytes that the file has as Latin-1.
func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func (c observedCase) inputs() [][]byte {
	if c.InputRuns != nil {
		var text []byte
		for _, run := range c.InputRuns {
			b, err := hex.DecodeString(run[0].(string))
			if err != nil {
				panic(err)
			}
			text = append(text, bytes.Repeat(b, int(run[1].(float64)))...)
		}
		return [][]byte{text}
	}
	var list [][]byte
	for _, text := range many[string](c.InputHex) {
		b, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		list = append(list, b)
	}
	return list
}

// observed returns what came of it on the real kernel.
func (c observedCase) observed() outcome {
	o := outcome{After: deref(c.After)}
	if c.Op == "poll" {
		o.Polled = many[string](c.Result)
	} else {
		o.Result = many[int64](c.Result)
	}
	for _, e := range many[*string](c.Errno) {
		o.Errno = append(o.Errno, deref(e))
	}
	if len(o.Errno) == 0 {
		o.Errno = []string{""}
	}
	for _, p := range many[*int64](c.PosAfter) {
		if p != nil {
			o.Pos = append(o.Pos, *p)
		}
	}
	for _, d := range many[string](c.Data) {
		o.Data = append(o.Data, latin1(d))
	}
	for _, b := range c.Between {
		o.Between = append(o.Between, latin1(b))
	}
	return o
}

// run does it here. If it cannot, it says why.
func (c observedCase) run() (o outcome, reason string) {
	do, ok := observedOps[c.Op]
	if !ok {
		return c.runOther()
	}
	if why, ok := ownRules[strings.SplitN(c.Wrapper, " ", 2)[0]]; ok {
		return o, why
	}
	tree := &sysctl.Tree{HZ: c.hz}
	handler, reason := c.handler()
	if reason != "" {
		return o, reason
	}
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: handler})
	if err != nil {
		return o, "cannot be registered: " + err.Error()
	}
	if c.Before != nil && *c.Before != "" {
		if err := tree.WriteFile(sysctl.Root, "x", []byte(deref(c.Before))); err != nil {
			panic(fmt.Sprintf("%s: before %q: %v", c.Entry, *c.Before, err))
		}
	}
	if mode, ok := strings.CutPrefix(c.Wrapper, "kernel.sysctl_writes_strict="); ok {
		n, _ := strconv.Atoi(strings.Fields(mode)[0])
		tree.SetWriteMode(sysctl.WriteMode(n))
	}
	do(c, tree, &o)
	if c.After != nil {
		o.After = observedText(tree)
	}
	return o, ""
}

// ownRules are the wrappers that are more than the handler they wrap.
var ownRules = map[string]string{
	"proc_ipc_sem_dointvec":       "its wrapper has bounds for the fourth value alone",
	"ipv4_local_port_range":       "its wrapper works on a copy, and compares the two values",
	"ipv4_privileged_ports":       "its wrapper compares with another entry",
	"ipv4_ping_group_range":       "its wrapper works on a copy, and compares the two values",
	"proc_tcp_congestion_control": "its wrapper looks the name up",
}

func (c observedCase) handler() (h sysctl.Handler, reason string) {
	n := 1
	if c.table.Nvals != nil {
		n = *c.table.Nvals
	}
	maxlen := 0
	if c.table.Maxlen != nil {
		maxlen = *c.table.Maxlen
	}
	var ints sysctl.IntData = new(sysctl.Int)
	if n != 1 {
		list := new(sysctl.Ints)
		list.Store(make([]int32, n)...)
		ints = list
	}
	var ulongs sysctl.UlongData = new(sysctl.Ulong)
	if n != 1 {
		list := new(sysctl.Ulongs)
		list.Store(make([]uint64, n)...)
		ulongs = list
	}
	min, max := c.bounds(math.MinInt32, math.MaxInt32)
	umin, umax := c.bounds(0, math.MaxUint32)
	bmin, bmax := c.bounds(0, math.MaxUint8)
	lmin, lmax := c.bounds(0, math.MaxInt64)
	ulmax := uint64(lmax)
	if c.table.Max == nil {
		ulmax = math.MaxUint64
	}
	switch c.Handler {
	case "proc_dostring":
		return sysctl.DoString(new(sysctl.String), maxlen), ""
	case "proc_dobool":
		return sysctl.DoBool(new(sysctl.Bool)), ""
	case "proc_do_static_key":
		return sysctl.DoStaticKey(new(sysctl.Bool)), ""
	case "proc_dointvec":
		return sysctl.DoIntVec(ints), ""
	case "proc_dointvec_minmax":
		return sysctl.DoIntVecMinMax(ints, int32(min), int32(max)), ""
	case "proc_dointvec_jiffies":
		return sysctl.DoIntVecJiffies(ints), ""
	case "proc_dointvec_userhz_jiffies":
		return sysctl.DoIntVecUserHZJiffies(ints), ""
	case "proc_dointvec_ms_jiffies":
		return sysctl.DoIntVecMsJiffies(ints), ""
	case "proc_dointvec_ms_jiffies_minmax":
		if strings.HasPrefix(c.Wrapper, "neigh_proc_dointvec_ms_jiffies_positive") {
			min = 1
		}
		return sysctl.DoIntVecMsJiffiesMinMax(ints, int32(min), int32(max)), ""
	case "proc_douintvec":
		return sysctl.DoUint(new(sysctl.Uint)), ""
	case "proc_douintvec_minmax":
		return sysctl.DoUintMinMax(new(sysctl.Uint), uint32(umin), uint32(umax)), ""
	case "proc_dou8vec_minmax":
		return sysctl.DoUint8MinMax(new(sysctl.Uint8), uint8(bmin), uint8(bmax)), ""
	case "proc_doulongvec_minmax":
		return sysctl.DoUlongVecMinMax(ulongs, uint64(lmin), ulmax), ""
	case "proc_doulongvec_ms_jiffies_minmax":
		return sysctl.DoUlongVecMsJiffiesMinMax(ulongs, uint64(lmin), ulmax), ""
	case "proc_do_large_bitmap":
		if c.After != nil && *c.After == "" {
			maxlen = 0 // no bitmap there
		}
		return sysctl.DoLargeBitmap(sysctl.NewBitmap(maxlen)), ""
	}
	if strings.HasPrefix(c.Handler, "handler that returns 0") {
		return useless{}, ""
	}
	return nil, "a handler of its own"
}

// A useless handler says that all went well.
type useless struct{}

func (useless) Read(*sysctl.Request, []byte) (int, error)      { return 0, nil }
func (useless) Write(_ *sysctl.Request, p []byte) (int, error) { return len(p), nil }

func (c observedCase) bounds(min, max int64) (int64, int64) {
	if c.table.Min != nil {
		min, _ = c.table.Min.Int64()
	}
	if c.table.Max != nil {
		max, _ = c.table.Max.Int64()
	}
	return min, max
}

func observedText(tree *sysctl.Tree) string {
	text, err := tree.ReadFile(sysctl.Root, "x")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// observedOps are the operations, by the names of the file.
var observedOps = map[string]func(observedCase, *sysctl.Tree, *outcome){
	"write":                 observedWrite(0),
	"write_O_APPEND":        observedWrite(os.O_APPEND),
	"write_O_TRUNC":         observedWrite(os.O_TRUNC),
	"write_O_CREAT_O_TRUNC": observedWrite(os.O_CREATE | os.O_TRUNC),
	"write_split": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_WRONLY)
		for _, text := range c.inputs() {
			o.add(f.Write(text))
			o.at(f)
			o.Between = append(o.Between, observedText(tree))
		}
	},
	"write_seek0_split": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_WRONLY)
		for i, text := range c.inputs() {
			if i > 0 {
				_, _ = f.Seek(0, io.SeekStart)
			}
			o.add(f.Write(text))
			o.at(f)
			o.Between = append(o.Between, observedText(tree))
		}
	},
	"write_all": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_WRONLY)
		for text := c.inputs()[0]; ; {
			n, err := f.Write(text)
			o.add(n, err)
			text = text[n:]
			if n == 0 || len(text) == 0 {
				return
			}
		}
	},
	"pwrite": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_WRONLY)
		o.add(f.WriteAt(c.inputs()[0], c.Offset))
		o.at(f)
	},
	"lseek_write": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_WRONLY)
		_, _ = f.Seek(c.Offset, io.SeekStart)
		o.add(f.Write(c.inputs()[0]))
		o.at(f)
	},
	"writev": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_WRONLY)
		o.add(f.Write(bytes.Join(c.inputs(), nil)))
		o.at(f)
	},
	"read": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_RDONLY)
		for _, size := range many[int](c.Sizes) {
			buf := make([]byte, size)
			n, err := f.Read(buf)
			o.add(n, err)
			o.Data = append(o.Data, string(buf[:n]))
			o.at(f)
		}
	},
	"pread": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_RDONLY)
		buf := make([]byte, many[int](c.Sizes)[0])
		n, err := f.ReadAt(buf, c.Offset)
		o.add(n, err)
		o.Data = append(o.Data, string(buf[:n]))
	},
	"rdwr_write_read_seek0_read_write": func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_RDWR)
		text := c.inputs()[0]
		o.add(f.Write(text))
		for range 2 {
			buf := make([]byte, 4096)
			n, err := f.Read(buf)
			o.add(n, err)
			o.Data = append(o.Data, string(buf[:n]))
			if len(o.Data) == 1 {
				_, _ = f.Seek(0, io.SeekStart)
			}
		}
		o.add(f.Write(text))
	},
}

func observedWrite(flag int) func(observedCase, *sysctl.Tree, *outcome) {
	return func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := observedOpen(tree, os.O_WRONLY|flag)
		o.add(f.Write(c.inputs()[0]))
		o.at(f)
	}
}

func observedOpen(tree *sysctl.Tree, flag int) *sysctl.File {
	f, err := tree.OpenFile(sysctl.Root, "x", flag)
	if err != nil {
		panic(err)
	}
	return f
}

// add adds what a system call would have returned.
func (o *outcome) add(n int, err error) {
	if err == nil || err == io.EOF || err == io.ErrShortWrite {
		o.Result, o.Errno = append(o.Result, int64(n)), append(o.Errno, "")
		return
	}
	o.Result, o.Errno = append(o.Result, -1), append(o.Errno, errnoName(err))
}

// add0 is add for a call that returns 0 if it goes well.
func (o *outcome) add0(err error) { o.add(0, err) }

func (o *outcome) at(f *sysctl.File) {
	pos, _ := f.Seek(0, io.SeekCurrent)
	o.Pos = append(o.Pos, pos)
}

func errnoName(err error) string {
	for name, errno := range map[string]syscall.Errno{
		"EINVAL": syscall.EINVAL, "EACCES": syscall.EACCES, "EPERM": syscall.EPERM,
		"ENOENT": syscall.ENOENT, "ENOMEM": syscall.ENOMEM, "EEXIST": syscall.EEXIST,
		"EISDIR": syscall.EISDIR, "ENOTDIR": syscall.ENOTDIR,
	} {
		if errors.Is(err, errno) {
			return name
		}
	}
	return err.Error()
}
