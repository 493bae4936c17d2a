// Package observed reads the results of system calls on the sysctls of real kernels. Tests
// make the same calls to a tree, in the process and through a mount, and compare.
//
// A value of the data that cannot be makes a method panic. [Case.Run] turns that into an
// error of the one case.
package observed

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A Meta is the first line of a file.
type Meta struct {
	HZ           int
	WritesStrict json.Number `json:"sysctl_writes_strict"`
	Entries      map[string]Table
}

// A Table describes an entry.
type Table struct {
	Handler  string
	Min, Max *json.Number
	Nvals    *int
	Maxlen   *int
	Reset    []string `json:"reset_values"` // the value before a case that names none
}

// IDs are the ids of the process that makes the system call.
type IDs struct {
	UID, GID int
	Groups   []int
}

// A Case is an operation on an entry, with its results. If a system call was made several
// times, there are lists.
type Case struct {
	Handler, Entry, Wrapper, Op string
	Before, After               *string
	InputHex                    json.RawMessage `json:"input_hex"`
	InputRuns                   [][]any         `json:"input_runs"`
	Result, Errno, Data         json.RawMessage
	Sizes                       json.RawMessage
	Offset                      int64
	Between                     []string
	PosAfter                    json.RawMessage `json:"pos_after"`
	Mode                        string          // octal, perhaps of another case of the entry; or empty
	IDs                         *IDs
	What                        string // a step of the poll test
	Sorted                      *bool  `json:"sorted_bytewise"` // names of a directory
	Stat                        *struct {
		Mode string
		Size int64
	}

	meta  *Meta
	table Table
}

// Files returns the files in the directory that KPRIM_OBSERVED names, or in dir.
func Files(dir string) ([]string, error) {
	dir = cmp.Or(os.Getenv("KPRIM_OBSERVED"), dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl*"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("observed: no *.jsonl* in %s", dir)
	}
	return files, err
}

// Read reads a file. A case whose mode is not in the file has the mode of another case of
// its entry.
func Read(file string) ([]Case, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	cases, err := decode(r)
	if err != nil {
		return nil, fmt.Errorf("observed: %s: %w", file, err)
	}
	return cases, nil
}

func decode(r io.Reader) (cases []Case, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<26)
	lines.Scan()
	var meta Meta
	if err := json.Unmarshal(lines.Bytes(), &meta); err != nil {
		return nil, err
	}
	modes := map[string]string{} // of the entries
	for lines.Scan() {
		c := Case{meta: &meta}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, err
		}
		c.table = meta.Entries[c.Entry]
		modes[c.Entry] = cmp.Or(c.Mode, modes[c.Entry])
		cases = append(cases, c)
	}
	for i, c := range cases {
		cases[i].Mode = modes[c.Entry]
	}
	return cases, lines.Err()
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

// Inputs are the texts that were written.
func (c Case) Inputs() [][]byte {
	if c.InputRuns != nil {
		var text []byte
		for _, run := range c.InputRuns {
			b := must(hex.DecodeString(run[0].(string)))
			text = append(text, bytes.Repeat(b, int(run[1].(float64)))...)
		}
		return [][]byte{text}
	}
	var list [][]byte
	for _, text := range many[string](c.InputHex) {
		list = append(list, must(hex.DecodeString(text)))
	}
	return list
}

// must is for calls that do not fail, unless the file or the tree is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// String describes the operation.
func (c Case) String() string {
	return fmt.Sprintf("%s of %s (%s %s) with %.80q from %q", c.Op, c.Entry, c.Handler, c.Wrapper, c.Inputs(), deref(c.Before))
}

// Largest returns the size of the largest system call of the case.
func (c Case) Largest() (n int) {
	for _, text := range c.Inputs() {
		n = max(n, len(text))
	}
	for _, size := range many[int](c.Sizes) {
		n = max(n, size)
	}
	return n
}

// Caller returns the ids of the process that makes the system call, or other ones if the
// case names none.
func (c Case) Caller(other IDs) IDs {
	if c.IDs == nil {
		return other
	}
	return *c.IDs
}
