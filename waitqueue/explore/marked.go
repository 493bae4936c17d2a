package explore

import "runtime"

// In a bubble the stack of each goroutine of an order has a number at its bottom: so often has
// marked called itself. A point of a package does not name its goroutine. The number does.
//
// Optimization: runtime.Stack tells the runtime's own number of a goroutine, in a whole traceback.
// That takes ten times as long as runtime.Callers, and was two thirds of a search.
//
// In a program the runtime's number counts, and there is none on the stack. There a goroutine
// that a bad order has left behind may come to a point of a later order, even of one in a
// bubble.

// hostMark is the number of the goroutine that chooses. Thread n has hostMark+n.
const hostMark = 1

// marked calls f when it has called itself depth times.
//
//go:noinline
func marked(depth int, f func()) {
	if depth > 0 {
		marked(depth-1, f)
		return
	}
	f()
}

// mark is the place to which a call of marked by itself returns.
var mark = func() (pc uintptr) {
	marked(1, func() {
		var pcs [1]uintptr
		runtime.Callers(3, pcs[:]) // leaves out Callers, this function and the inner marked
		pc = pcs[0]
	})
	return pc
}()

// onStack returns the number that is on the stack of the calling goroutine, or 0.
func onStack() (number int) {
	var few [32]uintptr
	pcs := few[:]
	n := runtime.Callers(1, pcs)
	for n == len(pcs) { // the number is at the bottom
		pcs = make([]uintptr, 4*len(pcs))
		n = runtime.Callers(1, pcs)
	}
	for _, pc := range pcs[:n] {
		if pc == mark {
			number++
		}
	}
	return number
}
