package sysctl

import (
	"fmt"
	"math"
	"syscall"
)

// DoBool is [DoIntVec] for a variable that is shown as 0 or 1. Any number but 0
// is true. A [Var] of bool is a handler itself, which takes on and off as well.
//
// Kernel: proc_dobool
func DoBool(data *Var[bool]) Handler { return boolean(data, math.MinInt32, math.MaxInt32) }

// boolean returns the handler for a number from min to max.
func boolean(data *Var[bool], min, max int32) *numbers[int32] {
	return &numbers[int32]{(*bit)(data), always(ints), min, max}
}

// DoStaticKey is [DoBool] for 0 and 1 alone. Only [Root] may write it: every other
// [Cred] gets [syscall.EPERM], even if the mode allows the write.
//
// Kernel: proc_do_static_key, struct static_key
//
// Differs: proc_do_static_key: asks for Root, where the kernel asks for CAP_SYS_ADMIN. Register refuses a nil data, where the kernel does not look.
//
// Differs: struct static_key: costs a branch that is patched, a Var a load.
func DoStaticKey(data *Var[bool]) Handler { return &staticKey{boolean(data, 0, 1)} }

type staticKey struct{ *numbers[int32] }

func (h *staticKey) Write(r *Request, p []byte) (int, error) {
	if r.Cred != Root {
		return 0, fmt.Errorf("only root may write a static key: %w", syscall.EPERM)
	}
	return h.numbers.Write(r, p)
}

// A bit is a bool as the only value of a [Vector].
type bit Var[bool]

func (b *bit) of() *Var[bool] { return (*Var[bool])(b) }

func (b *bit) values() []int32 {
	if b.of().Load() {
		return []int32{1}
	}
	return []int32{0}
}

func (b *bit) set(r *Request, f func([]int32) int) error {
	return b.of().set(r, func(one []bool) int {
		v := []int32{0}
		n := f(v)
		one[0] = v[0] != 0
		return n
	})
}

func (b *bit) check() error { return b.of().check() }
