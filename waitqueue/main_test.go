package waitqueue_test

import (
	"flag"
	"maps"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if timeIsShort() {
		maps.Copy(orders, fewer)
		maps.Copy(bounded, fewerBounded)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.handleEvent")) // of the runtime itself, on js
}
