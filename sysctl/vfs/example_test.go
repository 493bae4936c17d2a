package vfs_test

import (
	"context"
	"fmt"
	"os"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A server opens a file for a process, makes the calls of the process with positions of
// its own, and releases the Handle.
func Example() {
	var limit sysctl.Var[int32]
	var tree sysctl.Tree
	_, err := tree.Register("kernel", sysctl.Entry{
		Name: "limit", Mode: 0o644, Handler: sysctl.DoIntVecMinMax(&limit, 0, 10),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	root := vfs.Process(0, 0, os.Getpid(), nil)
	user := vfs.Process(1000, 1000, 0, nil)

	kernel, _ := tree.VFS().Lookup("kernel")
	node, _ := kernel.(vfs.Dir).Lookup("limit")
	fmt.Println("echo 7:", echo(node.(vfs.File), root, "7\n"))
	fmt.Println("echo 70:", vfs.Errno(echo(node.(vfs.File), root, "70\n")) != 0)
	fmt.Println("echo 8, as a user:", vfs.Errno(echo(node.(vfs.File), user, "8\n")) != 0)
	fmt.Println("limit:", limit.Load())
	// Output:
	// echo 7: <nil>
	// echo 70: true
	// echo 8, as a user: true
	// limit: 7
}

// echo writes text to a file, as a shell does.
func echo(file vfs.File, cred vfs.Cred, text string) error {
	ctx := context.Background() // a server ends it when a signal comes
	h, err := file.Open(ctx, cred, os.O_WRONLY|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer h.Release()
	for pos := 0; pos < len(text); {
		n, err := h.Write(ctx, cred, []byte(text[pos:]), int64(pos))
		if err != nil || n == 0 {
			return err
		}
		pos += n
	}
	return h.Flush()
}
