package main

import (
	"io/fs"
	"math"
	"time"

	"github.com/kprim/kprim/sysctl"
)

// newTree returns a tree with entries of several types. Some are like the entries
// of a machine with two network interfaces. wrote is called after each write, with
// the written text.
func newTree(wrote func(name, text string)) *sysctl.Tree {
	tree := new(sysctl.Tree)
	add := func(dir, name string, mode fs.FileMode, h sysctl.Handler) {
		// There is no error: each name is new, and each handler has its variable.
		_, err := tree.Register(dir, sysctl.Entry{Name: name, Mode: mode, Handler: &reporter{h, dir + "/" + name, wrote}})
		if err != nil {
			panic(err)
		}
	}

	var verbose sysctl.Var[bool]
	add("demo", "verbose", 0o644, sysctl.DoBool(&verbose))
	add("demo", "timeout", 0o644, sysctl.NewVar(1500*time.Millisecond, sysctl.Between(0, time.Hour)))

	var hostname, release sysctl.Var[string]
	hostname.Store("example")
	add("kernel", "hostname", 0o644, sysctl.DoString(&hostname, 65))
	release.Store("6.12.0-demo")
	add("kernel", "osrelease", 0o444, sysctl.DoString(&release, 65))
	var msgmax sysctl.Var[int32]
	msgmax.Store(8192)
	add("kernel", "msgmax", 0o644, sysctl.DoIntVecMinMax(&msgmax, 0, math.MaxInt32))

	ports := sysctl.NewBitmap(1 << 16)
	ports.Set(8080, 8083)
	add("net/ipv4", "ip_local_reserved_ports", 0o644, sysctl.DoLargeBitmap(ports))
	var rmem sysctl.Vec[int32]
	rmem.Store(4096, 131072, 6291456)
	add("net/ipv4", "tcp_rmem", 0o644, sysctl.DoIntVecMinMax(&rmem, 1, math.MaxInt32))
	for _, iface := range []string{"all", "eth0", "eth0.100"} {
		add("net/ipv4/conf/"+iface, "rp_filter", 0o644, sysctl.DoIntVec(new(sysctl.Var[int32])))
	}
	var flush sysctl.Var[int32]
	add("net/ipv4/route", "flush", 0o200, sysctl.DoIntVec(&flush))
	return tree
}

// A reporter is a handler around another one. From it the program knows which
// settings a file has set, and in which order.
type reporter struct {
	sysctl.Handler
	name  string
	wrote func(name, text string)
}

func (h *reporter) Write(r *sysctl.Request, p []byte) (int, error) {
	first := r.Pos == 0 // a handler that did not use all of p is called again with the rest
	n, err := h.Handler.Write(r, p)
	if err == nil && first {
		h.wrote(h.name, string(p))
	}
	return n, err
}
