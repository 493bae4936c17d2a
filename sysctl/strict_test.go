package sysctl_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

func TestWritesStrictIsAnEntry(t *testing.T) {
	tree, limit, _ := demo(t, 0o644)
	_, err := tree.Register("kernel", sysctl.Entry{Name: "sysctl_writes_strict", Mode: 0o644, Handler: sysctl.DoWritesStrict(tree)})
	require.NoError(t, err)
	for text, mode := range map[string]sysctl.WriteMode{"1\n": sysctl.Strict, "0\n": sysctl.Warn, "-1\n": sysctl.Legacy} {
		require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/sysctl_writes_strict", []byte(text)))
		require.Equal(t, mode, tree.WriteMode())
		got, err := tree.ReadFile(sysctl.Root, "kernel/sysctl_writes_strict")
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		limit.Store(1)
		_, err = open(t, tree, "kernel/limit").WriteAt([]byte("2"), 1)
		require.NoError(t, err)
		require.Equal(t, mode != sysctl.Strict, limit.Load() == 2)
	}
	require.ErrorIs(t, tree.WriteFile(sysctl.Root, "kernel/sysctl_writes_strict", []byte("2")), syscall.EINVAL)
}

func TestWarnIsCalledOnce(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	_, err := tree.Register("kernel", entry("text"))
	require.NoError(t, err)
	var warned []string
	other := open(t, tree, "kernel/limit")
	tree.Warn = func(path string) {
		warned = append(warned, path)
		_, _ = other.WriteAt([]byte("1"), 1) // and does not warn of it
	}
	limit, text := open(t, tree, "kernel/limit"), open(t, tree, "/kernel//text")
	for _, mode := range []sysctl.WriteMode{sysctl.Strict, sysctl.Legacy} {
		tree.SetWriteMode(mode)
		_, err = text.WriteAt([]byte("2"), 1)
		require.NoError(t, err)
	}
	tree.SetWriteMode(sysctl.Warn)
	_, err = text.WriteAt([]byte("2"), 0)
	require.NoError(t, err)
	require.Empty(t, warned)
	for range 2 {
		_, err = text.WriteAt([]byte("2"), 1)
		require.NoError(t, err)
		_, err = limit.WriteAt([]byte("2"), 1)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"kernel/text"}, warned)
}

func TestWriteModeThatIsNonePanics(t *testing.T) {
	var tree sysctl.Tree
	for _, m := range []sysctl.WriteMode{-2, 2, 1 << 30} {
		require.Panics(t, func() { tree.SetWriteMode(m) })
		require.Equal(t, sysctl.Strict, tree.WriteMode())
	}
}

// echo goes on with the unused rest. In the modes other than the strict one the rest is a
// new text. A list that is too long for one call has its end in the next.
func TestWhatEarlierCallsOfAWriteHaveStoredStays(t *testing.T) {
	for mode, refused := range map[sysctl.WriteMode]bool{sysctl.Strict: false, sysctl.Warn: true, sysctl.Legacy: true} {
		tree, limit, _ := demo(t, 0o644)
		tree.SetWriteMode(mode)
		err := tree.WriteFile(sysctl.Root, "kernel/limit", []byte("5 x"))
		if refused {
			require.ErrorIs(t, err, syscall.EINVAL)
		} else {
			require.NoError(t, err, "ignored")
		}
		require.EqualValues(t, 5, limit.Load())
	}
	var tree sysctl.Tree
	b := sysctl.NewBitmap(1 << 16)
	b.Set(9, 9)
	_, err := tree.Register("", sysctl.Entry{Name: "b", Mode: 0o644, Handler: sysctl.DoLargeBitmap(b)})
	require.NoError(t, err)
	require.ErrorIs(t, tree.WriteFile(sysctl.Root, "b", []byte("10,12,x")), syscall.EINVAL)
	require.True(t, b.Has(9), "it was looked at as a whole")
	require.ErrorIs(t, tree.WriteFile(sysctl.Root, "b", []byte(longList(t)+"x")), syscall.EINVAL)
	require.False(t, b.Has(9))
	require.True(t, b.Has(10))
	require.False(t, b.Has(7), "that was in the second call, with the fault")
}
