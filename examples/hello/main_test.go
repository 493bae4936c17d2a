package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// thread: hello, I am running
	// main: the thread has said hello, now I stop it
	// thread: I am asked to stop, goodbye
	// main: success, the thread has stopped
}

// When hello returns, its thread is gone.
func TestThreadIsGone(t *testing.T) {
	for range 200 {
		require.NoError(t, hello())
		require.Empty(t, kthread.Tasks())
	}
}
