//go:build gc && !purego && (amd64 || 386 || arm64 || arm)

package kthread

// Reused says whether the identity of a goroutine that is gone is given to another one.
const Reused = true
