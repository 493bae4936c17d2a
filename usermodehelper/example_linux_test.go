package usermodehelper_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/kprim/kprim/usermodehelper"
)

// The helper may open 20 files and use ten seconds of processor time. It gets less of a
// busy processor than other programs.
func ExampleHelper_limits() {
	var out usermodehelper.Output
	h := usermodehelper.Helper{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "ulimit -n; ulimit -t"}, Output: &out,
		Limits: []usermodehelper.Limit{
			{Resource: syscall.RLIMIT_NOFILE, Soft: 20, Hard: 20},
			{Resource: syscall.RLIMIT_CPU, Soft: 10, Hard: 10},
		},
		Nice: 5,
	}
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Println(status, err)
	fmt.Print(&out)
	// Output:
	// exit status 0 <nil>
	// 20
	// 10
}

// A program that runs as root gives the helper a user without rights, and lets it know
// the proxy.
func ExampleHelper_user() {
	h := usermodehelper.Helper{
		Path:    "/usr/bin/curl",
		Argv:    []string{"curl", "--silent", "https://example.com/alert"},
		Envp:    usermodehelper.Environ(),
		Inherit: []string{"HTTPS_PROXY", "NO_PROXY"},
		Dir:     "/var/empty",
		User:    &usermodehelper.User{Uid: 65534, Gid: 65534},
	}
	fmt.Println(h.Exec(context.Background(), usermodehelper.WaitProc))
}
