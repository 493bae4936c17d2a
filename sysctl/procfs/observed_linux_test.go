//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/observed"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// TestObserved repeats the cases that were observed on real kernels, by system calls of a
// process. It compares result, errno, position, stat, events and the value after. It
// prints a table by operation, each difference that FUSE makes with its reason, and each
// case that the data does not describe well enough.
//
//	go test -run TestObserved -v
//
// KPRIM_OBSERVED names another directory with such files.
func TestObserved(t *testing.T) {
	asRoot(t)
	files, err := observed.Files("../testdata")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { testObserved(t, file) })
	}
}

func testObserved(t *testing.T, file string) {
	cases, err := observed.Read(file)
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	sum := tally{}
	dirs := map[string]vfs.Node{} // of the entries, by the number of the case
	for i, c := range cases {
		tree, reason, err := observedTree(c)
		switch {
		case err != nil:
			sum.fail(t, i, c, err.Error())
		case reason != "":
			sum.add(c, "not run", reason)
		default:
			dirs[strconv.Itoa(i)] = entryDir(t, tree, c)
		}
	}
	dir, _ := mount(t, vfs.Static(dirs), procfs.Options{Poll: true})
	for i, r := range observe(t, file, dir) {
		compareObserved(t, sum, i, cases[i], r)
		delete(dirs, strconv.Itoa(i))
	}
	require.Empty(t, dirs, "the client has not done these cases")
	sum.print(t, len(cases))
}

// compareObserved judges the report of a client.
func compareObserved(t *testing.T, sum tally, i int, c observed.Case, r observedReply) {
	want := c.Want()
	switch {
	case r.Err != "":
		sum.fail(t, i, c, r.Err)
	case reflect.DeepEqual(r.Outcome, want):
		sum.add(c, "agree", "")
	default:
		fuse, reason := underFUSE(c, want)
		if reason != "" && reflect.DeepEqual(r.Outcome, fuse) {
			sum.add(c, "differ", reason)
			return
		}
		sum.fail(t, i, c, fmt.Sprintf("%s\n got %v\nwant %v\nFUSE %v", reason, r.Outcome, want, fuse))
	}
}

// observedTree returns the tree of a case, or the reason why there is none.
func observedTree(c observed.Case) (tree *sysctl.Tree, reason string, err error) {
	if observed.Ops[c.Op] == nil && mountedOps[c.Op] == nil {
		return nil, "", fmt.Errorf("an unknown operation: %s", c.Op)
	}
	if c.Op == "readdir" {
		return manyNames(c)
	}
	tree, reason, err = c.Tree()
	if tree != nil && c.Op == "poll" {
		_, err = tree.Register(c.Dir(), sysctl.Entry{Name: notifyName, Mode: 0o200, Handler: notify{tree, c.Entry}})
	}
	return tree, reason, err
}

// entryDir returns the directory of the entry. It is mounted without the directories above
// it, because each lookup is a request.
func entryDir(t *testing.T, tree *sysctl.Tree, c observed.Case) vfs.Node {
	var node vfs.Node = tree.VFS()
	for name := range strings.SplitSeq(strings.TrimPrefix(c.Dir(), "."), "/") {
		if name == "" {
			break // the root
		}
		below, err := node.(vfs.Dir).Lookup(name)
		require.NoError(t, err)
		node = below
	}
	return node
}

// manyNames makes a directory with as many names as the kernel's directory had. The data
// does not have the names. So these have all lengths, and are registered in no order.
func manyNames(c observed.Case) (*sysctl.Tree, string, error) {
	var entries []sysctl.Entry
	for i := range c.Want().Result[0] {
		name := fmt.Sprintf("%c%0*d", 'a'+rune(i%26), int(i%7), i)
		entries = append(entries, sysctl.Entry{Name: name, Mode: 0o644, Handler: sysctl.DoIntVec(new(sysctl.Var[int32]))})
	}
	rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	tree := &sysctl.Tree{}
	_, err := tree.Register(c.Entry, entries...)
	return tree, "", err
}

// A notify is an entry by which a client has the Tree told that a system call has changed
// another entry.
type notify struct {
	tree  *sysctl.Tree
	entry string
}

const notifyName = "notify"

func (notify) Read(*sysctl.Request, []byte) (int, error) { return 0, nil }

func (n notify) Write(_ *sysctl.Request, p []byte) (int, error) {
	return len(p), n.tree.Notify(n.entry)
}

// observe has a client do the cases of a file at the directories in dir.
func observe(t *testing.T, file, dir string) map[int]observedReply {
	self, err := os.Executable()
	require.NoError(t, err)
	out, code := run(t, "env", "KPRIM_TEST_ROLE=observed", self, file, dir)
	require.Zero(t, code, out)
	var replies map[int]observedReply
	require.NoError(t, json.Unmarshal([]byte(out), &replies), "%.1000s", out)
	return replies
}

// A tally counts cases by operation, by how they ended, and by the reason.
type tally map[string]map[[2]string]int

func (s tally) add(c observed.Case, end, reason string) {
	if s[c.Op] == nil {
		s[c.Op] = map[[2]string]int{}
	}
	s[c.Op][[2]string{end, reason}]++
}

func (s tally) fail(t *testing.T, i int, c observed.Case, text string) {
	s.add(c, "fail", "")
	if s.count("", "fail") <= 20 {
		t.Errorf("case %d: %s: %s", i+1, c, text)
	}
}

// count returns how many cases ended so: of one operation, or of all.
func (s tally) count(op, end string) (n int) {
	for o, ends := range s {
		for e, count := range ends {
			if (op == "" || op == o) && e[0] == end {
				n += count
			}
		}
	}
	return n
}

func (s tally) print(t *testing.T, cases int) {
	t.Logf("%d cases: %d agree, %d differ by FUSE, %d fail, %d not run",
		cases, s.count("", "agree"), s.count("", "differ"), s.count("", "fail"), s.count("", "not run"))
	var ops []string
	for op := range s {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	t.Logf("%-40s %6s %6s %6s %7s", "operation", "agree", "differ", "fail", "not run")
	for _, op := range ops {
		t.Logf("%-40s %6d %6d %6d %7d", op, s.count(op, "agree"), s.count(op, "differ"), s.count(op, "fail"), s.count(op, "not run"))
		for end, n := range s[op] {
			if end[1] != "" {
				t.Logf("    %d %s: %s", n, end[0], end[1])
			}
		}
	}
}
