package onecpu

// Settle is called by each thread that has got the CPU, if it is not nil. A test sets it
// to synctest.Wait in a bubble. Then a thread goes on only when all others sleep, wait for
// the CPU or have ended, so their sleeps and ends have a certain place in a trace.
var Settle func()

func settle() {
	if Settle != nil {
		Settle()
	}
}
