//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// roles are the programs that the test binary can be.
var roles = map[string]func(args []string) int{
	"probe": probe,
	"serve": serve,
	"own":   own,

	"observed":       observedClient,
	"article-helper": articleHelper,
}

// probe makes system calls without a library, so without retries, and prints the errno.
func probe(args []string) int {
	do, path := args[0], args[1]
	switch do {
	case "truncate": // by its name
		return outcome(0, unix.Truncate(path, 5))
	case "tmpfile": // a file without a name, in a directory
		_, err := unix.Open(path, unix.O_TMPFILE|unix.O_RDWR, 0o600)
		return outcome(0, err)
	case "sendfile":
		return toPipe(path, func(out, in int) (int, error) { return unix.Sendfile(out, in, nil, 4096) })
	case "splice":
		return toPipe(path, func(out, in int) (int, error) {
			n, err := unix.Splice(in, nil, out, nil, 4096, 0)
			return int(n), err
		})
	case "names": // list a directory in pieces, and change it after the first
		return names(path, args[2])
	case "append": // read and write by one descriptor
		return appending(must(openFD(path, unix.O_RDWR|unix.O_APPEND)))
	case "mmap":
		fd := must(openFD(path, unix.O_RDWR))
		_, err := unix.Mmap(int(fd), 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
		return outcome(0, err)
	case "nonblock": // open without blocking
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
		return report(fd, err)
	case "caught": // open with a handler for SIGUSR1, as with SA_RESTART
		signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
		fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
		return report(fd, err)
	case "reopen": // close and open without blocking, args[2] times
		return reopen(path, args[2])
	case "errnos": // of the open, read, write and close of four files of a directory
		return errnos(path)
	case "openers": // args[2] threads open at once; each byte of the input interrupts all
		return openers(path, atoi(args[2]))
	case "interrupted": // args[2] times, an open that signals hit from its beginning
		return interrupted(path, atoi(args[2]))
	}
	fmt.Println("probe: what is", do)
	return 2
}

// outcome prints a count, or the name of the errno.
func outcome(n int, err error) int {
	if errno, ok := err.(unix.Errno); ok {
		fmt.Println(-1, unix.ErrnoName(errno))
		return 1
	}
	fmt.Println(n)
	return 0
}

// names lists a directory in pieces. After the first piece it changes the directory by a
// control. It prints how many names it has seen, how many of them are different, and how
// many are in a second list.
func names(dir, control string) int {
	f := must(openFD(dir, unix.O_RDONLY|unix.O_DIRECTORY))
	first := listPiece(f)
	must(must(openFD(control, unix.O_WRONLY)).Write([]byte("x")))
	all := append(first, listRest(f)...)
	must(f.Seek(0, 0))
	again := listRest(f)
	count := len(all)
	slices.Sort(all)
	all = slices.Compact(all)
	gone := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(again, name) })
	fmt.Println(count, len(all), len(all)-len(gone))
	return 0
}

func listRest(f fd) (names []string) {
	for piece := listPiece(f); len(piece) > 0; piece = listPiece(f) {
		names = append(names, piece...)
	}
	return names
}

// listPiece reads some names of a directory.
func listPiece(f fd) (names []string) {
	buf := make([]byte, 1024)
	_, _, names = unix.ParseDirent(buf[:must(unix.Getdents(int(f), buf))], -1, nil)
	return names
}

// appending reads two bytes of a file, writes twice, and reads between and after.
func appending(f fd) int {
	text := make([]byte, 2)
	fmt.Printf("%q ", text[:must(f.Read(text))])
	must(f.Write([]byte("xy")))
	fmt.Printf("%q ", text[:must(f.Read(text))])
	return outcome(f.Write([]byte("z")))
}

// toPipe copies a file to a pipe by do: splice(2) or sendfile(2). It prints the pipe's text.
func toPipe(path string, do func(out, in int) (int, error)) int {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return outcome(0, err)
	}
	n, err := do(pipe[1], int(must(openFD(path, unix.O_RDONLY))))
	if err == nil {
		text := make([]byte, n)
		n, err = unix.Read(pipe[0], text)
		fmt.Printf("%q ", text)
	}
	return outcome(n, err)
}

func report(fd int, err error) int {
	if errno, ok := err.(syscall.Errno); ok {
		fmt.Printf("open=-1 errno=%d %v\n", int(errno), errno)
		return 1
	}
	fmt.Println("open ok")
	return 0
}

func reopen(path, times string) int {
	for range atoi(times) {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return report(fd, err)
		}
		if err := syscall.Close(fd); err != nil {
			return report(fd, err)
		}
	}
	fmt.Println("open ok")
	return 0
}

func errnos(dir string) int {
	call := func(name string, do func(fd int) error) {
		fd, err := syscall.Open(dir+"/"+name, syscall.O_RDWR, 0)
		if err == nil {
			err = do(fd)
		}
		errno, _ := err.(syscall.Errno)
		fmt.Printf("%s %d ", name, int(errno))
	}
	call("open", func(int) error { return nil })
	call("read", func(fd int) error { _, err := syscall.Read(fd, make([]byte, 10)); return err })
	call("write", func(fd int) error { _, err := syscall.Write(fd, make([]byte, 10)); return err })
	call("close", syscall.Close)
	return 0
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// serve serves /sleep and its own state at a directory, until SIGINT. With a second
// argument it has a helper that reads its standard input.
func serve(args []string) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT)
	file := &counted{}
	var server atomic.Pointer[procfs.Server]
	state := func() string {
		return fmt.Sprintf("%d users, %d goroutines, %s", file.UseCount(), runtime.NumGoroutine(), procfs.Left(server.Load()))
	}
	mounted, err := procfs.Mount(args[0], vfs.Static(map[string]vfs.Node{"sleep": file, "state": text(state)}), procfs.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	server.Store(mounted)
	fmt.Println("serving")
	if len(args) > 1 {
		helper := exec.Command("cat")
		helper.Stdin = os.Stdin
		if err := helper.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	<-stop
	if err := mounted.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return file.UseCount()
}

// text returns a file with the text of a function.
func text(f func() string) vfs.File {
	return fileOf(func(context.Context) (vfs.Handle, error) { return &textHandle{text: f()}, nil })
}

type textHandle struct {
	handle
	text string
}

func (h *textHandle) Read(_ context.Context, _ vfs.Cred, p []byte, pos int64) (int, error) {
	return copy(p, h.text[min(int(pos), len(h.text)):]), nil
}
