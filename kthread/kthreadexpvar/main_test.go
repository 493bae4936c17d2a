package kthreadexpvar_test

import (
	"testing"

	"go.uber.org/goleak"
)

// On js the runtime has a goroutine of its own.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent"))
}
