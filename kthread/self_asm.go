//go:build gc && !purego && (amd64 || 386 || arm64 || arm)

package kthread

// self returns the address of the runtime's record of the calling goroutine. No other
// goroutine has this address as long as the caller lives. The runtime uses the record
// again for a later goroutine, and never frees it.
func self() uintptr
