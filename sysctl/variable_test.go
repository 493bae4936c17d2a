package sysctl_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// during calls do on another goroutine while a change is under way. It gives do the time
// to end, if do does not have to wait.
func during(others *sync.WaitGroup, do func()) {
	done := make(chan struct{})
	others.Go(func() {
		do()
		close(done)
	})
	select {
	case <-done:
	case <-time.After(50 * time.Millisecond):
	}
}

func TestChangeOfAVectorIsNotLostInAnother(t *testing.T) {
	var v sysctl.Vec[int32]
	v.Store(0, 0)
	var others sync.WaitGroup
	v.Change(func(values []int32) int {
		during(&others, func() {
			v.Change(func(values []int32) int {
				values[1] = 2
				return 2
			})
		})
		values[0] = 1
		return 1
	})
	others.Wait()
	require.Equal(t, []int32{1, 2}, v.Load())
	v.Change(func(values []int32) int {
		during(&others, func() { v.Store(7, 7) })
		values[0] = 1
		return 1
	})
	others.Wait()
	require.Equal(t, []int32{7, 7}, v.Load(), "it came later")
}

func TestChangeOfABitmapIsNotLostInAnother(t *testing.T) {
	b := sysctl.NewBitmap(70)
	var others sync.WaitGroup
	inTheMiddle := func(do func()) {
		b.Change(3, 5, func(words []uint64, first, last int) {
			during(&others, do)
			words[0] |= 1
		})
		others.Wait()
	}
	inTheMiddle(func() { b.Set(69, 69) })
	require.Equal(t, []uint64{1, 1 << 5}, b.Load())
	inTheMiddle(func() { b.Store([]uint64{4}) })
	require.Equal(t, []uint64{4, 0}, b.Load(), "it came later")
	inTheMiddle(func() { _, _ = sysctl.DoLargeBitmap(b).Write(new(sysctl.Request), []byte("9\n")) })
	require.Equal(t, []uint64{1 << 9, 0}, b.Load())
	inTheMiddle(func() { _, _ = sysctl.DoLargeBitmap(b).Write(&sysctl.Request{Pos: 1}, []byte("8\n")) })
	require.Equal(t, []uint64{1<<9 | 1<<8 | 1, 0}, b.Load(), "it adds to the text that is there then")
}

// A write within the present text keeps the beginning of the text that is there then.
func TestChangeOfAStringIsNotLostInAnother(t *testing.T) {
	var s sysctl.Var[string]
	var others sync.WaitGroup
	s.Change(func(value []string) int {
		during(&others, func() {
			_, _ = sysctl.DoString(&s, 9).Write(&sysctl.Request{Pos: 3}, []byte("de"))
		})
		value[0] = "abc"
		return 1
	})
	others.Wait()
	require.Equal(t, "abcde", s.Load())
	s.Change(func(value []string) int {
		during(&others, func() { s.Store("other") })
		value[0] += "x"
		return 1
	})
	others.Wait()
	require.Equal(t, "other", s.Load(), "it came later")
	s.Change(func(value []string) int {
		value[0] = "y"
		return 0
	})
	require.Equal(t, "other", s.Load())
}

func TestBitmapAsAVariable(t *testing.T) {
	b := sysctl.NewBitmap(100)
	require.Equal(t, []uint64{0, 0}, b.Load())
	b.Set(3, 5)
	b.Set(99, 99)
	for n := -1; n <= 200; n++ {
		require.Equal(t, n >= 3 && n <= 5 || n == 99, b.Has(n), n)
	}
	was := b.Load()
	require.Equal(t, []uint64{0b111000, 1 << 35}, was)
	b.Clear(4, 99)
	require.Equal(t, []uint64{0b1000, 0}, b.Load())
	require.Equal(t, []uint64{0b111000, 1 << 35}, was, "it is a copy")
	b.Store(was)
	was[0] = 0
	require.Equal(t, []uint64{0b111000, 1 << 35}, b.Load(), "of a copy")
	b.Store(nil)
	require.Equal(t, []uint64{0, 0}, b.Load())
	b.Store([]uint64{1, 0, 0})
	require.Equal(t, []uint64{1, 0}, b.Load())
	for _, r := range [][2]int{{-1, 0}, {5, 4}, {99, 100}} {
		require.Panics(t, func() { b.Set(r[0], r[1]) })
		require.Panics(t, func() { b.Clear(r[0], r[1]) })
	}
	require.Panics(t, func() { b.Store([]uint64{0, 1 << 36}) })
	require.Panics(t, func() { b.Store([]uint64{0, 0, 1}) })
	require.Equal(t, []uint64{1, 0}, b.Load())
	sysctl.NewBitmap(0).Store(nil)
	sysctl.NewBitmap(64).Store([]uint64{1 << 63})
}

func TestBitmapOfLessThanNoBitsPanics(t *testing.T) {
	require.PanicsWithValue(t, "sysctl: NewBitmap(-1)", func() { sysctl.NewBitmap(-1) })
	require.Empty(t, sysctl.NewBitmap(0).Load())
}
