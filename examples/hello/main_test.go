package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// hello: I run
	// main: it greeted, now stop it
	// main: it has stopped, without an error
}
