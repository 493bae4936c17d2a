// Ktrace2dat reads a trace of package kthread/trace from its standard input, and writes it to
// its standard output as the file trace.dat of trace-cmd and KernelShark.
package main

import (
	"fmt"
	"os"

	"github.com/kprim/kprim/kthread/trace/readers/dat"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "usage: ktrace2dat <kprim.ftrace >trace.dat")
		os.Exit(2)
	}
	if err := dat.Convert(os.Stdout, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "ktrace2dat:", err)
		os.Exit(1)
	}
}
