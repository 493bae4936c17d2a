package observed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// An Outcome is the result of a case.
type Outcome struct {
	Result  []int64
	Errno   []string
	Pos     []int64
	Data    [][]byte
	Between [][]byte
	Polled  []string
	Stat    []string
	Sorted  bool
	After   []byte
}

// Want returns the outcome on the real kernel.
func (c Case) Want() (o Outcome) {
	o.After = []byte(deref(c.After))
	switch {
	case c.Op != "poll":
		o.Result = many[int64](c.Result)
	case string(c.Result) == "true":
		o.Polled = []string{"in time"}
	default:
		o.Polled = polled(c.Result)
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
		o.Data = append(o.Data, []byte(latin1(d)))
	}
	for _, b := range c.Between {
		o.Between = append(o.Between, []byte(latin1(b)))
	}
	if c.Stat != nil { // by the name, and of the open file
		stat := StatText(must(parseMode(c.Stat.Mode)), c.Stat.Size)
		o.Stat = []string{stat, stat}
	}
	o.Sorted = c.Sorted != nil && *c.Sorted
	return o
}

// polled decodes the answer of a step of the poll test. Epoll answers with a list of
// lists.
func polled(raw json.RawMessage) (list []string) {
	var nested [][]string
	if json.Unmarshal(raw, &nested) != nil {
		return many[string](raw)
	}
	list = []string{}
	for _, events := range nested {
		list = append(list, events...)
	}
	return list
}

func parseMode(octal string) (mode uint32, err error) {
	_, err = fmt.Sscanf(octal, "%o", &mode)
	return mode, err
}

// StatText is a mode and a size as an Outcome has them.
func StatText(mode uint32, size int64) string { return fmt.Sprintf("mode %o, size %d", mode, size) }

// Add adds the result of a system call.
func (o *Outcome) Add(n int, err error) { o.add(int64(n), err) }

// add is Add for a position, which may be too large for an int of 32 bits.
func (o *Outcome) add(n int64, err error) {
	if err == nil || err == io.EOF || errors.Is(err, io.ErrShortWrite) {
		o.Result, o.Errno = append(o.Result, n), append(o.Errno, "")
		return
	}
	o.Result, o.Errno = append(o.Result, -1), append(o.Errno, errnoName(err))
}

func errnoName(err error) string {
	for name, errno := range map[string]syscall.Errno{
		"EINVAL": syscall.EINVAL, "EACCES": syscall.EACCES, "EPERM": syscall.EPERM,
		"ENOENT": syscall.ENOENT, "ENOMEM": syscall.ENOMEM, "EEXIST": syscall.EEXIST,
		"EISDIR": syscall.EISDIR, "ENOTDIR": syscall.ENOTDIR, "ERANGE": syscall.ERANGE,
		"ENODEV": syscall.ENODEV, "ENOTSUP": syscall.ENOTSUP,
	} {
		if errors.Is(err, errno) {
			return name
		}
	}
	return err.Error()
}

// read adds the result of a read.
func (o *Outcome) read(read func([]byte) (int, error), size int) {
	buf := make([]byte, size)
	n, err := read(buf)
	o.Add(n, err)
	o.Data = append(o.Data, bytes.Clone(buf[:max(n, 0)]))
}

// at adds the position of a file.
func (o *Outcome) at(f File) { o.Pos = append(o.Pos, must(f.Seek(0, io.SeekCurrent))) }

// String shows an Outcome, with the beginning of long texts.
func (o Outcome) String() string {
	return fmt.Sprintf("result %v, errno %q, pos %v, data %.80q, between %.80q, polled %q, stat %q, sorted %v, after %.80q",
		o.Result, o.Errno, o.Pos, o.Data, o.Between, o.Polled, o.Stat, o.Sorted, o.After)
}
