//go:build !gc || purego || !(amd64 || 386 || arm64 || arm)

package kthread

import "runtime"

// self returns the number of the calling goroutine, or 0 if the program is built without
// the texts that the Go runtime prints. The number is in the first line of the traceback:
//
//	goroutine 7 [running]:
func self() uintptr {
	var line [len("goroutine ") + 20]byte
	n := runtime.Stack(line[:], false)
	var number uintptr
	for _, c := range line[min(n, len("goroutine ")):n] {
		if c < '0' || c > '9' {
			break
		}
		number = 10*number + uintptr(c-'0')
	}
	return number
}
