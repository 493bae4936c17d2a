package collected_test

import (
	"runtime"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/internal/collected"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}

// value is so large that it is alone in its memory: the collector may free it at once.
type value [1 << 16]byte

func TestSoon(t *testing.T) {
	v := new(value)
	p := weak.Make(v)
	require.False(t, collected.Soon(p))
	runtime.KeepAlive(v)
	require.True(t, collected.Soon(p))
}
