package sysctl

import (
	"fmt"
	"sync/atomic"
	"syscall"
)

// A Bool is a variable that is true or false. Load costs one atomic load. The
// zero value is false, ready to use. A Bool must not be copied after first use.
//
// Kernel: a bool that is the data of a ctl_table, struct static_key
//
// Differs: struct static_key: costs a branch that is patched, a Bool a load.
type Bool struct{ v atomic.Bool }

// Load returns the value.
func (b *Bool) Load() bool { return b.v.Load() }

// Store replaces the value.
func (b *Bool) Store(v bool) { b.v.Store(v) }

func (b *Bool) values() []int32 {
	if b.Load() {
		return []int32{1}
	}
	return []int32{0}
}

func (b *Bool) change(f func([]int32) int) {
	v := []int32{0}
	if f(v) > 0 {
		b.Store(v[0] != 0)
	}
}

func (b *Bool) check() error { return checkData(b == nil, 1) }

// DoBool is [DoIntVec] for a variable that is shown as 0 or 1. Any number but 0
// is true.
//
// Kernel: proc_dobool
func DoBool(data *Bool) Handler { return DoIntVec(data) }

// DoStaticKey is [DoBool] for 0 and 1 alone. Only [Root] may write it: every other
// [Cred] gets [syscall.EPERM], even if the mode allows the write.
//
// Kernel: proc_do_static_key
//
// Differs: asks for Root, where the kernel asks for CAP_SYS_ADMIN. Register refuses a nil data, where the kernel does not look.
func DoStaticKey(data *Bool) Handler { return &staticKey{DoIntVecMinMax(data, 0, 1).(*intVec)} }

type staticKey struct{ *intVec }

func (h *staticKey) Write(r *Request, p []byte) (int, error) {
	if r.Cred != Root {
		return 0, fmt.Errorf("only root may write a static key: %w", syscall.EPERM)
	}
	return h.intVec.Write(r, p)
}
