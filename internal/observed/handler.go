package observed

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kprim/kprim/sysctl"
)

// Tree returns a tree with the entry as it was before. If that cannot be, it says why.
// Where no case has the entry's mode, the mode lets root read and write.
func (c Case) Tree() (tree *sysctl.Tree, reason string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	h, reason := c.handler()
	if reason != "" && c.onlyOpens() {
		h, reason = Useless{}, "" // it is not called
	}
	if reason == "" && c.Mode == "" && (c.onlyOpens() || c.Op == "stat") {
		reason = "the mode of the entry is not in the file"
	}
	if reason != "" {
		return nil, reason, nil
	}
	tree = &sysctl.Tree{HZ: c.meta.HZ}
	dir, name := path.Split(c.Entry)
	mode := must(parseMode(cmp.Or(c.Mode, "600")))
	must(tree.Register(dir, sysctl.Entry{Name: name, Mode: fs.FileMode(mode), Handler: h}))
	c.bring(tree)
	return tree, "", nil
}

// onlyOpens reports whether the operation asks for rights, and never reads and writes.
func (c Case) onlyOpens() bool {
	opens := []string{"open_rdonly", "open_wronly", "open_rdwr"}
	return slices.Contains(opens, c.Op) || strings.HasPrefix(c.Op, "access_")
}

// bring gives the tree the value and the write mode that were there before.
func (c Case) bring(tree *sysctl.Tree) {
	before := c.Before
	if before == nil {
		before = c.After // a case without Before writes nothing, and leaves the value as it is
	}
	if before == nil && len(c.table.Reset) > 0 {
		before = &c.table.Reset[0]
	}
	// An empty text cannot be written. Only an entry that never shows anything has it.
	if before != nil && *before != "" {
		if err := tree.WriteFile(sysctl.Root, c.Entry, []byte(latin1(*before))); err != nil {
			panic(fmt.Sprintf("it cannot be brought to its old value: %v", err))
		}
		if text := string(must(tree.ReadFile(sysctl.Root, c.Entry))); text != latin1(*before) {
			panic(fmt.Sprintf("it was %q before, and is %q", *before, text))
		}
	}
	strict := string(c.meta.WritesStrict)
	if mode, ok := strings.CutPrefix(c.Wrapper, "kernel.sysctl_writes_strict="); ok {
		strict = strings.Fields(mode)[0]
	}
	tree.SetWriteMode(sysctl.WriteMode(must(strconv.Atoi(strict))))
}

// handler makes the handler that the file says the entry has.
func (c Case) handler() (h sysctl.Handler, reason string) {
	if own, ok := owns[strings.SplitN(c.Wrapper, " ", 2)[0]]; ok {
		return own(c)
	}
	switch c.Handler {
	case "proc_dostring":
		if c.table.Maxlen == nil {
			return nil, "its maxlen is not in the file"
		}
		return sysctl.DoString(new(sysctl.Var[string]), *c.table.Maxlen), ""
	case "proc_dobool":
		return sysctl.DoBool(new(sysctl.Var[bool])), ""
	case "proc_do_static_key":
		return sysctl.DoStaticKey(new(sysctl.Var[bool])), ""
	case "proc_do_large_bitmap":
		return sysctl.DoLargeBitmap(sysctl.NewBitmap(c.bits())), ""
	case "handler that returns 0 and leaves length and position alone":
		return Useless{}, ""
	}
	if h = c.number(); h == nil {
		return nil, "a handler of its own"
	}
	if c.nvals() == 0 {
		// The kernel has a maxlen of 3 bytes there, which is not 0, and registers it.
		// Register refuses a vector of no values, if it sees it.
		h = hidden{h}
	}
	return h, ""
}

// Register does not know the type of a hidden handler.
type hidden struct{ sysctl.Handler }

// number makes a handler of numbers.
func (c Case) number() sysctl.Handler {
	least, most := bound[int32](c.table.Min, math.MinInt32), bound[int32](c.table.Max, math.MaxInt32)
	switch c.Handler {
	case "proc_dointvec":
		return sysctl.DoIntVec(vector[int32](c, 0))
	case "proc_dointvec_minmax":
		return sysctl.DoIntVecMinMax(vector(c, inside(least, most)), least, most)
	case "proc_dointvec_jiffies":
		return c.jiffies(time.Second, math.MinInt32, math.MaxInt32)
	case "proc_dointvec_userhz_jiffies":
		return c.jiffies(10*time.Millisecond, math.MinInt32, math.MaxInt32)
	case "proc_dointvec_ms_jiffies":
		return c.jiffies(time.Millisecond, math.MinInt32, math.MaxInt32)
	case "proc_dointvec_ms_jiffies_minmax":
		if strings.Contains(c.Wrapper, "(minimum: the jiffies of 1 ms, that is 1 jiffy;") {
			least = 1
		}
		return c.jiffies(time.Millisecond, least, most)
	case "proc_douintvec":
		return sysctl.DoUint(new(sysctl.Var[uint32]))
	case "proc_douintvec_minmax":
		return unsigned[uint32](c, math.MaxUint32)
	case "proc_dou8vec_minmax":
		return unsigned[uint8](c, math.MaxUint8)
	}
	min, max := bound[uint64](c.table.Min, 0), bound[uint64](c.table.Max, math.MaxUint64)
	switch data := vector(c, inside(min, max)); c.Handler {
	case "proc_doulongvec_minmax":
		return sysctl.DoUlongVecMinMax(data, min, max)
	case "proc_doulongvec_ms_jiffies_minmax":
		return sysctl.DoJiffies(data, time.Millisecond, min, max)
	}
	return nil
}

func (c Case) jiffies(unit time.Duration, min, max int32) sysctl.Handler {
	return sysctl.DoJiffies(vector(c, inside(min, max)), unit, min, max)
}

func unsigned[T uint8 | uint32](c Case, most T) sysctl.Handler {
	min, max := bound[T](c.table.Min, 0), bound(c.table.Max, most)
	return sysctl.DoUintMinMax(sysctl.NewVar(inside(min, max)), min, max)
}

// inside returns a value to start with: 0 if it is within the bounds, as Register wants.
func inside[T cmp.Ordered](least, most T) T {
	var zero T
	return max(least, min(zero, most))
}

// Unsigned reports whether the entry has a handler of one unsigned number.
func (c Case) Unsigned() bool {
	return slices.Contains([]string{"proc_douintvec", "proc_douintvec_minmax", "proc_dou8vec_minmax"}, c.Handler)
}

// bits is how many a bitmap has. The table of an entry whose bitmap's address is NULL
// looks like the table of any other. But a bitmap that is there and empty shows an empty
// line, and the entry without one shows nothing.
func (c Case) bits() int {
	if slices.Contains(c.table.Reset, "") {
		return 0
	}
	return *c.table.Maxlen
}

// nvals is how many values a vector has.
func (c Case) nvals() int {
	if c.table.Nvals == nil {
		return 1
	}
	return *c.table.Nvals
}

// vector returns the variable of the entry, with a value to start with.
func vector[T int32 | uint64](c Case, start T) sysctl.Vector[T] {
	if c.nvals() == 1 {
		return sysctl.NewVar(start)
	}
	list := new(sysctl.Vec[T])
	list.Store(slices.Repeat([]T{start}, c.nvals())...)
	return list
}

// bound returns a bound of the table, or the other one if the table has none.
func bound[T int32 | uint8 | uint32 | uint64](n *json.Number, without T) T {
	if n != nil {
		if err := json.Unmarshal([]byte(*n), &without); err != nil {
			panic(fmt.Sprintf("the bound %s: %v", *n, err))
		}
	}
	return without
}

// A Useless handler is like a C handler that returns 0 and leaves *lenp and *ppos alone.
// *lenp was the size of the buffer, so the handler has read NULs into all of it,
// and used all of a text.
type Useless struct{}

// Read implements [sysctl.Handler].
func (Useless) Read(_ *sysctl.Request, p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Write implements [sysctl.Handler].
func (Useless) Write(_ *sysctl.Request, p []byte) (int, error) { return len(p), nil }
