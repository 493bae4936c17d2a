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
	"path"
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
// what comes of it: result, errno, position, mode and size, and the value after.
// Handlers, bounds, modes and values before are those of the file. It prints how
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
	modes := map[string]string{} // of the entries; not every case has it
	for _, c := range cases {
		modes[c.Entry] = cmp.Or(c.Mode, modes[c.Entry])
	}
	for i, c := range cases {
		c.meta, c.table, c.Mode = &meta, meta.Entries[c.Entry], modes[c.Entry]
		got, want, reason, err := c.run()
		switch {
		case reason != "":
			left[fmt.Sprintf("%s of %s: %s", c.Op, c.Entry, reason)]++
		case err == nil && reflect.DeepEqual(got, want):
			agreed++
		default:
			differing++
			if differing <= 20 {
				t.Errorf("case %d: %s of %s (%s %s) with %.80q from %q: %v\n got %+v\nwant %+v",
					i+1, c.Op, c.Entry, c.Handler, c.Wrapper, c.inputs(), deref(c.Before), err, got, want)
			}
		}
	}
	t.Logf("%d cases: %d agree, %d differ, %d cannot be done here", len(cases), agreed, differing, len(cases)-agreed-differing)
	for _, what := range slices.Sorted(maps.Keys(left)) {
		t.Logf("%5d %s", left[what], what)
	}
	require.Zero(t, differing)
}

// An observedMeta is the first line of a file.
type observedMeta struct {
	HZ           int
	WritesStrict json.Number `json:"sysctl_writes_strict"`
	Entries      map[string]observedTable
}

// An observedTable is what is known of an entry.
type observedTable struct {
	Handler  string
	Min, Max *json.Number
	Nvals    *int
	Maxlen   *int
	Reset    []string `json:"reset_values"` // what it has before a case that says nothing else
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
	Mode                        string          // octal; that of another case of the entry; or empty
	IDs                         *struct {
		UID, GID int
		Groups   []int
	}

	What string
	Stat *struct {
		Mode string
		Size int64
	}

	meta  *observedMeta
	table observedTable
}

// An outcome is what came of a case.
type outcome struct {
	Result  []int64
	Errno   []string
	Pos     []int64
	Data    []string
	Between []string
	Polled  []string
	Stat    []string
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
func (c observedCase) observed() (o outcome) {
	o.After = deref(c.After)
	if woken := string(c.Result) == "true"; c.Op == "poll" && woken {
		o.Polled = []string{"in time"}
	} else if c.Op == "poll" {
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
	if c.Stat != nil { // by the name, and of what is open
		stat := fmt.Sprintf("mode %s, size %d", c.Stat.Mode, c.Stat.Size)
		o.Stat = []string{stat, stat}
	}
	return o
}

// run does it here. If it cannot be done, there is a reason. What goes wrong on
// the way, also by a panic of the handler, is a failure of this case alone.
func (c observedCase) run() (o, want outcome, reason string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	do, ok := observedOps[c.Op]
	if !ok {
		return o, want, cmp.Or(notHere[c.Op], "only a mounted file has it"), nil
	}
	handler, reason := c.handler()
	if reason != "" && c.onlyOpens() {
		handler, reason = useless{}, "" // it is not called
	}
	if reason == "" && c.Mode == "" && (c.onlyOpens() || c.Op == "stat") {
		reason = "the mode of the entry is not in the file"
	}
	if reason != "" {
		return o, want, reason, nil
	}
	tree := c.tree(handler)
	if reason := do(c, tree, &o); reason != "" {
		return o, want, reason, nil
	}
	if c.After != nil {
		o.After = c.text(tree)
	}
	return o, c.observed(), "", nil
}

func (c observedCase) onlyOpens() bool {
	return strings.HasPrefix(c.Op, "open_") || strings.HasPrefix(c.Op, "access_")
}

// tree returns a tree with the entry as it was before. Where no case has its mode,
// it is one that lets root do what root did.
func (c observedCase) tree(h sysctl.Handler) *sysctl.Tree {
	tree := &sysctl.Tree{HZ: c.meta.HZ}
	dir, name := path.Split(c.Entry)
	mode := must(strconv.ParseUint(cmp.Or(c.Mode, "600"), 8, 32))
	must(tree.Register(dir, sysctl.Entry{Name: name, Mode: fs.FileMode(mode), Handler: h}))
	before := c.Before
	if before == nil {
		before = c.After // what does not say it writes nothing, and has to leave it as it is
	}
	if before == nil && len(c.table.Reset) > 0 {
		before = &c.table.Reset[0]
	}
	// A text that is empty cannot be written. It is that of an entry that shows
	// nothing, whatever is done to it.
	if before != nil && *before != "" {
		if err := tree.WriteFile(sysctl.Root, c.Entry, []byte(latin1(*before))); err != nil {
			panic(fmt.Sprintf("it cannot be brought to what it was before: %v", err))
		}
		if text := c.text(tree); text != latin1(*before) {
			panic(fmt.Sprintf("it was %q before, and is %q", *before, text))
		}
	}
	strict := string(c.meta.WritesStrict)
	if mode, ok := strings.CutPrefix(c.Wrapper, "kernel.sysctl_writes_strict="); ok {
		strict = strings.Fields(mode)[0]
	}
	tree.SetWriteMode(sysctl.WriteMode(must(strconv.Atoi(strict))))
	return tree
}

// must is for what does not fail, unless the file or the package is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// handler makes the handler that the file says the entry has.
func (c observedCase) handler() (h sysctl.Handler, reason string) {
	if own, ok := observedOwn[strings.SplitN(c.Wrapper, " ", 2)[0]]; ok {
		return own(c)
	}
	min, max := c.table.Min, c.table.Max
	switch c.Handler {
	case "proc_dostring":
		if c.table.Maxlen == nil {
			return nil, "its maxlen is not in the file"
		}
		return sysctl.DoString(new(sysctl.String), *c.table.Maxlen), ""
	case "proc_dobool":
		return sysctl.DoBool(new(sysctl.Bool)), ""
	case "proc_do_static_key":
		return sysctl.DoStaticKey(new(sysctl.Bool)), ""
	case "proc_dointvec":
		h = sysctl.DoIntVec(c.ints())
	case "proc_dointvec_minmax":
		h = sysctl.DoIntVecMinMax(c.ints(), bound[int32](min, math.MinInt32), bound[int32](max, math.MaxInt32))
	case "proc_dointvec_jiffies":
		h = sysctl.DoIntVecJiffies(c.ints())
	case "proc_dointvec_userhz_jiffies":
		h = sysctl.DoIntVecUserHZJiffies(c.ints())
	case "proc_dointvec_ms_jiffies":
		h = sysctl.DoIntVecMsJiffies(c.ints())
	case "proc_dointvec_ms_jiffies_minmax":
		least := bound[int32](min, math.MinInt32)
		if strings.Contains(c.Wrapper, "(minimum: the jiffies of 1 ms, that is 1 jiffy;") {
			least = 1
		}
		h = sysctl.DoIntVecMsJiffiesMinMax(c.ints(), least, bound[int32](max, math.MaxInt32))
	case "proc_douintvec":
		h = sysctl.DoUint(new(sysctl.Uint))
	case "proc_douintvec_minmax":
		h = sysctl.DoUintMinMax(new(sysctl.Uint), bound[uint32](min, 0), bound[uint32](max, math.MaxUint32))
	case "proc_dou8vec_minmax":
		h = sysctl.DoUint8MinMax(new(sysctl.Uint8), bound[uint8](min, 0), bound[uint8](max, math.MaxUint8))
	case "proc_doulongvec_minmax":
		h = sysctl.DoUlongVecMinMax(c.ulongs(), bound[uint64](min, 0), bound[uint64](max, math.MaxUint64))
	case "proc_doulongvec_ms_jiffies_minmax":
		h = sysctl.DoUlongVecMsJiffiesMinMax(c.ulongs(), bound[uint64](min, 0), bound[uint64](max, math.MaxUint64))
	case "proc_do_large_bitmap":
		h = sysctl.DoLargeBitmap(sysctl.NewBitmap(c.bits()))
	case "handler that returns 0 and leaves length and position alone":
		h = useless{}
	default:
		return nil, "a handler of its own"
	}
	if c.nvals() == 0 {
		// The kernel has a maxlen of 3 bytes there, which is not 0, and registers
		// it. Register refuses a vector of no values, if it sees it.
		h = &wrapper{Handler: h}
	}
	return h, ""
}

// bits is how many a bitmap has. The table of an entry whose bitmap's address is
// NULL looks like that of any other. But one that is there and empty shows an empty
// line, and what the entry shows at the beginning has not even that.
func (c observedCase) bits() int {
	if slices.Contains(c.table.Reset, "") {
		return 0
	}
	return *c.table.Maxlen
}

// nvals is how many values a vector has.
func (c observedCase) nvals() int {
	if c.table.Nvals == nil {
		return 1
	}
	return *c.table.Nvals
}

func (c observedCase) ints() sysctl.IntData {
	if c.nvals() == 1 {
		return new(sysctl.Int)
	}
	list := new(sysctl.Ints)
	list.Store(make([]int32, c.nvals())...)
	return list
}

func (c observedCase) ulongs() sysctl.UlongData {
	if c.nvals() == 1 {
		return new(sysctl.Ulong)
	}
	list := new(sysctl.Ulongs)
	list.Store(make([]uint64, c.nvals())...)
	return list
}

// bound returns a bound of the table, or what holds without one.
func bound[T int32 | uint8 | uint32 | uint64](n *json.Number, without T) T {
	if n != nil {
		if err := json.Unmarshal([]byte(*n), &without); err != nil {
			panic(fmt.Sprintf("the bound %s: %v", *n, err))
		}
	}
	return without
}

// A useless handler does what a C handler does that returns 0 and leaves *lenp and
// *ppos alone. *lenp was the size of the buffer, so the handler has read NULs into
// all of it, and used all of a text.
type useless struct{}

func (useless) Read(_ *sysctl.Request, p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (useless) Write(_ *sysctl.Request, p []byte) (int, error) { return len(p), nil }

// text is what a fresh read shows.
func (c observedCase) text(tree *sysctl.Tree) string {
	return string(must(tree.ReadFile(sysctl.Root, c.Entry)))
}

func (c observedCase) open(tree *sysctl.Tree, flag int) *sysctl.File {
	return must(tree.OpenFile(sysctl.Root, c.Entry, flag))
}

// An observedOp does an operation, or says why it cannot be done.
type observedOp func(observedCase, *sysctl.Tree, *outcome) (reason string)

// always is for an operation that can be done with every entry.
func always(do func(observedCase, *sysctl.Tree, *outcome)) observedOp {
	return func(c observedCase, tree *sysctl.Tree, o *outcome) string {
		do(c, tree, o)
		return ""
	}
}

// observedOps are the operations, by the names of the file.
var observedOps = map[string]observedOp{
	"write":                 observedWrite(0),
	"write_O_APPEND":        observedWrite(os.O_APPEND),
	"write_O_TRUNC":         observedWrite(os.O_TRUNC),
	"write_O_CREAT_O_TRUNC": observedWrite(os.O_CREATE | os.O_TRUNC),
	"write_split":           observedSplit(false),
	"write_seek0_split":     observedSplit(true),
	"write_all": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_WRONLY)
		for text := c.inputs()[0]; ; {
			n, err := f.Write(text)
			o.add(n, err)
			text = text[n:]
			if n == 0 || len(text) == 0 {
				return
			}
		}
	}),
	"pwrite": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_WRONLY)
		o.add(f.WriteAt(c.inputs()[0], c.Offset))
		o.at(f)
	}),
	"lseek_write": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_WRONLY)
		must(f.Seek(c.Offset, io.SeekStart))
		o.add(f.Write(c.inputs()[0]))
		o.at(f)
	}),
	"writev": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_WRONLY)
		o.add(f.Write(bytes.Join(c.inputs(), nil)))
		o.at(f)
	}),
	"read": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_RDONLY)
		for _, size := range many[int](c.Sizes) {
			o.data(f.Read, size)
			o.at(f)
		}
	}),
	"pread": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_RDONLY)
		o.data(func(p []byte) (int, error) { return f.ReadAt(p, c.Offset) }, many[int](c.Sizes)[0])
	}),
	"rdwr_write_read_seek0_read_write": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_RDWR)
		o.add(f.Write(c.inputs()[0]))
		o.data(f.Read, 4096)
		must(f.Seek(0, io.SeekStart))
		o.data(f.Read, 4096)
		o.add(f.Write(c.inputs()[0]))
	}),
	"open_rdonly": observedOpen(os.O_RDONLY), "open_wronly": observedOpen(os.O_WRONLY), "open_rdwr": observedOpen(os.O_RDWR),
	"access_r": observedOpen(os.O_RDONLY), "access_w": observedOpen(os.O_WRONLY),
	"poll": observedPoll,

	"write_on_fd_opened_by_root_after_setuid": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_RDWR)
		f.SetCred(sysctl.Nobody)
		o.add(f.Write(c.inputs()[0]))
	}),
	"read_on_fd_opened_by_root_after_setuid": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_RDWR)
		f.SetCred(sysctl.Nobody)
		o.add(f.Read(make([]byte, 4096)))
	}),
	"creat_existing":      observedName(func(entry string) string { return entry }, os.O_WRONLY|os.O_CREATE),
	"creat_excl_existing": observedName(func(entry string) string { return entry }, os.O_WRONLY|os.O_CREATE|os.O_EXCL),
	"creat_beside":        observedName(func(entry string) string { return entry + "-none" }, os.O_WRONLY|os.O_CREATE),
	"open_missing_beside": observedName(func(entry string) string { return entry + "-none" }, os.O_RDONLY),
	"lookup_below_file":   observedName(func(entry string) string { return entry + "/x" }, os.O_RDONLY),
	"opendir": always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		_, err := fs.ReadDir(tree.FS(sysctl.Root), c.Entry)
		o.add(0, err)
	}),
	"lseek_end_0":   observedSeek(0, io.SeekEnd),
	"lseek_end_5":   observedSeek(5, io.SeekEnd),
	"lseek_set_neg": observedSeek(-1, io.SeekStart),
	"lseek_set_big": observedSeek(1<<40, io.SeekStart),
	"stat":          observedStat(func(entry string) string { return entry }),
	"stat_dir":      observedStat(path.Dir),
}

func observedWrite(flag int) observedOp {
	return always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_WRONLY|flag)
		o.add(f.Write(c.inputs()[0]))
		o.at(f)
	})
}

func observedSplit(seek bool) observedOp {
	return always(func(c observedCase, tree *sysctl.Tree, o *outcome) {
		f := c.open(tree, os.O_WRONLY)
		for i, text := range c.inputs() {
			if seek && i > 0 {
				must(f.Seek(0, io.SeekStart))
			}
			o.add(f.Write(text))
			o.at(f)
			o.Between = append(o.Between, c.text(tree))
		}
	})
}

// data adds what a read returns.
func (o *outcome) data(read func([]byte) (int, error), size int) {
	buf := make([]byte, size)
	n, err := read(buf)
	o.add(n, err)
	o.Data = append(o.Data, string(buf[:n]))
}

// add adds what a system call would have returned.
func (o *outcome) add(n int, err error) { o.add64(int64(n), err) }

// add64 is add for a position, which may be too large for an int of 32 bits.
func (o *outcome) add64(n int64, err error) {
	if err == nil || err == io.EOF || errors.Is(err, io.ErrShortWrite) {
		o.Result, o.Errno = append(o.Result, n), append(o.Errno, "")
		return
	}
	o.Result, o.Errno = append(o.Result, -1), append(o.Errno, errnoName(err))
}

func (o *outcome) at(f *sysctl.File) { o.Pos = append(o.Pos, must(f.Seek(0, io.SeekCurrent))) }

func errnoName(err error) string {
	for name, errno := range map[string]syscall.Errno{
		"EINVAL": syscall.EINVAL, "EACCES": syscall.EACCES, "EPERM": syscall.EPERM,
		"ENOENT": syscall.ENOENT, "ENOMEM": syscall.ENOMEM, "EEXIST": syscall.EEXIST,
		"EISDIR": syscall.EISDIR, "ENOTDIR": syscall.ENOTDIR, "ERANGE": syscall.ERANGE,
	} {
		if errors.Is(err, errno) {
			return name
		}
	}
	return err.Error()
}
