package sysctl_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/observed"
	"github.com/kprim/kprim/sysctl"
)

// A handmade handler is made of two functions. A nil one does nothing.
type handmade struct {
	read, write func(r *sysctl.Request, p []byte) (int, error)
}

func (h handmade) Read(r *sysctl.Request, p []byte) (int, error) {
	if h.read == nil {
		return 0, nil
	}
	return h.read(r, p)
}

func (h handmade) Write(r *sysctl.Request, p []byte) (int, error) {
	if h.write == nil {
		r.Pos += int64(len(p))
		return len(p), nil
	}
	return h.write(r, p)
}

func reads(read func(r *sysctl.Request, p []byte) (int, error)) handmade { return handmade{read: read} }

// treeWith returns a tree with one entry, x.
func treeWith(t *testing.T, h sysctl.Handler) (*sysctl.Tree, *sysctl.Header) {
	tree := new(sysctl.Tree)
	header, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: h})
	require.NoError(t, err)
	return tree, header
}

// A position that moves without any bytes, and an error that is not one, end a
// text like any other.
func TestReaderThatEndsInItsOwnWayIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		read func(r *sysctl.Request, p []byte) (int, error)
		want string
	}{
		"no bytes at all": {func(r *sysctl.Request, p []byte) (int, error) { return 0, nil }, ""},
		"no bytes, and a position that moves": {func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos += 7
			return 0, nil
		}, ""},
		"the end with the text": {func(r *sysctl.Request, p []byte) (int, error) { return copy(p, "text\n"), io.EOF }, "text\n"},
		"the end after the text": {func(r *sysctl.Request, p []byte) (int, error) {
			n, err := strings.NewReader("text\n").ReadAt(p, r.Pos)
			r.Pos += int64(n)
			return n, err
		}, "text\n"},
		"a number of records": {func(r *sysctl.Request, p []byte) (int, error) {
			if r.Pos == 3 {
				return 0, nil
			}
			r.Pos++ // counts records, not bytes
			return copy(p, fmt.Sprintln("record", r.Pos)), nil
		}, "record 1\nrecord 2\nrecord 3\n"},
		"the largest text": {func(r *sysctl.Request, p []byte) (int, error) {
			n := copy(p[:min(len(p), 4<<20-1-int(r.Pos))], strings.Repeat("x", 4<<20-1))
			r.Pos += int64(n)
			return n, nil
		}, strings.Repeat("x", 4<<20-1)},
	} {
		t.Run(name, func(t *testing.T) {
			tree, _ := treeWith(t, reads(c.read))
			text, err := tree.ReadFile(sysctl.Root, "x")
			require.NoError(t, err)
			require.True(t, c.want == string(text), "%.40q", text)
			buf := make([]byte, 100)
			n, err := open(t, tree, "x").Read(buf)
			require.Equal(t, c.want == "", err == io.EOF, "%v", err)
			require.True(t, strings.HasPrefix(c.want, string(buf[:n])))
		})
	}
}

// A File shows each result of the handler, as a system call does.
func TestFileShowsAReaderThatNeverMoves(t *testing.T) {
	tree, _ := treeWith(t, observed.Useless{})
	f := open(t, tree, "x")
	for range 3 {
		n, err := f.Read([]byte("12345678"))
		require.NoError(t, err)
		require.Equal(t, 8, n)
		pos, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.Zero(t, pos)
	}
}

// A handler of records copies each as far as there is room.
func TestRecordsAreNotCut(t *testing.T) {
	var want strings.Builder
	for i := range 900 {
		fmt.Fprintf(&want, "record %d of some length\n", i)
	}
	tree, _ := treeWith(t, reads(func(r *sysctl.Request, p []byte) (int, error) {
		if r.Pos == 900 {
			return 0, nil
		}
		r.Pos++
		return copy(p, fmt.Sprintf("record %d of some length\n", r.Pos-1)), nil
	}))
	text, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.True(t, want.String() == string(text), "%d bytes of %d", len(text), want.Len())
}

func TestReadFileStartsOverIfTheFirstBufferIsFull(t *testing.T) {
	var tree sysctl.Tree
	b := sysctl.NewBitmap(4000)
	w := &wrapper{Handler: sysctl.DoLargeBitmap(b)}
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: w})
	require.NoError(t, err)
	b.Set(0, 0)
	text, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.Equal(t, "0\n", string(text))
	require.Equal(t, []int64{0, 2}, w.reads)
	var want []string
	for n := 0; n < 4000; n += 2 {
		b.Set(n, n)
		want = append(want, fmt.Sprint(n))
	}
	w.reads = nil
	text, err = tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.Equal(t, strings.Join(want, ",")+"\n", string(text))
	require.Equal(t, []int64{0, 0, int64(len(text))}, w.reads, "over again, and then the end")
}

func TestReadFileOfAnEntryThatHasToBeReadAtOnce(t *testing.T) {
	var tree sysctl.Tree
	b := sysctl.NewBitmap(1 << 16)
	var want []string
	for n := 0; n < 1<<16; n += 2 {
		b.Set(n, n)
		want = append(want, fmt.Sprint(n))
	}
	_, err := tree.Register("", sysctl.Entry{Name: "b", Mode: 0o644, Handler: sysctl.DoLargeBitmap(b)})
	require.NoError(t, err)
	text, err := tree.ReadFile(sysctl.Root, "b")
	require.NoError(t, err)
	require.Equal(t, strings.Join(want, ",")+"\n", string(text))
}
