package observed

import (
	"fmt"
	"syscall"

	"github.com/kprim/kprim/sysctl"
)

// owns are the wrappers that do more than the handler they wrap. They are written here as
// a program would write its own.
var owns = map[string]func(Case) (h sysctl.Handler, reason string){
	"proc_ipc_sem_dointvec": func(c Case) (sysctl.Handler, string) {
		h := &sem{v: new(sysctl.Vec[int32])}
		must(fmt.Sscanf(c.Wrapper, "proc_ipc_sem_dointvec (4th value must be %d..%d,", &h.min, &h.max))
		h.v.Store(make([]int32, c.nvals())...)
		h.Handler = sysctl.DoIntVec(h.v)
		return h, ""
	},
	"ipv4_local_port_range": func(c Case) (sysctl.Handler, string) {
		least := c.other("net/ipv4/ip_unprivileged_port_start")
		return c.checked(func(v []int32) bool { return v[0] <= v[1] && v[0] >= least }), ""
	},
	"ipv4_privileged_ports": func(c Case) (sysctl.Handler, string) {
		most := c.other("net/ipv4/ip_local_port_range")
		return c.checked(func(v []int32) bool { return v[0] <= most }), ""
	},
	"ipv4_ping_group_range": func(c Case) (sysctl.Handler, string) {
		h := &pingGroups{min: bound[uint64](c.table.Min, 0), max: bound[uint64](c.table.Max, 0)}
		h.v.Store(make([]uint64, c.nvals())...)
		return h, ""
	},
	"proc_tcp_congestion_control": func(Case) (sysctl.Handler, string) {
		return nil, "its wrapper looks the name up, and the list of names is not in the file"
	},
}

// other returns the first value that another entry has.
func (c Case) other(entry string) (v int32) {
	must(fmt.Sscan(c.meta.Entries[entry].Reset[0], &v))
	return v
}

// A sem has bounds for its fourth value alone, which is put back if it is outside,
// or anything else is wrong. The others stay as they were written.
type sem struct {
	sysctl.Handler
	v        *sysctl.Vec[int32]
	min, max int32
}

func (h *sem) Write(r *sysctl.Request, p []byte) (int, error) {
	before := h.v.Load()[3]
	n, err := h.Handler.Write(r, p)
	v := h.v.Load()
	if err == nil && (v[3] < h.min || v[3] > h.max) {
		err = syscall.ERANGE
	}
	if err != nil {
		v[3] = before
		h.v.Store(v...)
	}
	return n, err
}

// A checkedInts writes to a copy, and keeps it if it is good.
type checkedInts struct {
	v        sysctl.Vec[int32]
	min, max int32
	good     func([]int32) bool
}

func (c Case) checked(good func([]int32) bool) sysctl.Handler {
	h := &checkedInts{min: bound[int32](c.table.Min, 0), max: bound[int32](c.table.Max, 0), good: good}
	h.v.Store(make([]int32, c.nvals())...)
	return h
}

func (h *checkedInts) Read(r *sysctl.Request, p []byte) (int, error) {
	return sysctl.DoIntVec(&h.v).Read(r, p)
}

func (h *checkedInts) Write(r *sysctl.Request, p []byte) (int, error) {
	var v sysctl.Vec[int32]
	v.Store(h.v.Load()...)
	n, err := sysctl.DoIntVecMinMax(&v, h.min, h.max).Write(r, p)
	if err == nil && !h.good(v.Load()) {
		err = syscall.EINVAL
	}
	if err == nil {
		h.v.Store(v.Load()...)
	}
	return n, err
}

// A pingGroups is a range of groups. A range that is the wrong way round is stored as
// the empty range.
type pingGroups struct {
	v        sysctl.Vec[uint64]
	min, max uint64
}

func (h *pingGroups) Read(r *sysctl.Request, p []byte) (int, error) {
	return sysctl.DoUlongVecMinMax(&h.v, h.min, h.max).Read(r, p)
}

func (h *pingGroups) Write(r *sysctl.Request, p []byte) (int, error) {
	var v sysctl.Vec[uint64]
	v.Store(h.v.Load()...)
	n, err := sysctl.DoUlongVecMinMax(&v, h.min, h.max).Write(r, p)
	if err != nil {
		return n, err
	}
	if v := v.Load(); v[1] < v[0] {
		h.v.Store(1, 0)
	} else {
		h.v.Store(v...)
	}
	return n, nil
}
