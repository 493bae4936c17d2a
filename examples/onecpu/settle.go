package onecpu

// Settle, if not nil, is called by each thread that has got the CPU. A test sets it to
// synctest.Wait in a bubble. Then a thread goes on only when all others sleep, wait for
// the CPU, or have ended. So each sleep and each end has a certain place in a trace.
var Settle func()

func settle() {
	if Settle != nil {
		Settle()
	}
}
