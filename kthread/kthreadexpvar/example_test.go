package kthreadexpvar_test

import (
	"fmt"

	"github.com/kprim/kprim/kthread/kthreadexpvar"
	"github.com/kprim/kprim/kthread/trace"
)

func ExampleFunc() {
	trace.StartCounting()
	defer trace.StopCounting()
	threads := kthreadexpvar.Func()
	// A program calls expvar.Publish("kthread", threads), once.
	fmt.Println(threads)
	// Output:
	// {"threads":[],"queues":{}}
}
