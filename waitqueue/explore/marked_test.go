package explore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumberIsOnTheStack(t *testing.T) {
	require.Zero(t, onStack())
	for _, number := range []int{1, 2, 7, 200} { // the last on a stack that is deep
		marked(number, func() {
			require.Equal(t, number, onStack())
			deep(300, func() { require.Equal(t, number, onStack()) })
			defer func() {
				require.Equal(t, number, onStack())
				require.NotNil(t, recover())
				require.Equal(t, number, onStack())
			}()
			panic("deferred calls have it too")
		})
	}
}

func deep(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	deep(n-1, f)
}

func TestOtherGoroutineHasNoNumber(t *testing.T) {
	marked(1, func() {
		number := make(chan int)
		go func() { number <- onStack() }()
		require.Zero(t, <-number)
	})
}

func BenchmarkOnStack(b *testing.B) {
	marked(2, func() {
		for b.Loop() {
			onStack()
		}
	})
}

func BenchmarkGoroutine(b *testing.B) {
	marked(2, func() {
		for b.Loop() {
			goroutine()
		}
	})
}
