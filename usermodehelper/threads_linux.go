package usermodehelper

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// spares is how many idle threads this package has given to the runtime, less the
// threads that have ended with their crew. Guarded by crews.mu.
//
// The runtime needs more threads when many helpers start and end at once. If it
// cannot make one, it ends the program. So the spares are made while helpers do not
// yet fill the limit of processes.
var spares int

// wantedSpares returns how many spares are made. With a low limit there are fewer,
// because most places are for helpers.
func wantedSpares() int {
	const many, rlimitNproc = 8, 6 // package syscall does not have RLIMIT_NPROC
	var limit syscall.Rlimit
	if syscall.Getrlimit(rlimitNproc, &limit) != nil {
		return many
	}
	return int(max(1, min(many, limit.Cur/5)))
}

// making is held while threads are made. No new helper may take a place meanwhile
// that the kernel has just shown to be free. The end of a helper does not wait for
// it: the making of threads takes forks, and these wait for other forks of the
// program.
var making sync.Mutex

// roomForThread returns an error if there is no place for the first thread of a
// crew. The caller holds making, here and below.
func roomForThread() error {
	if err := roomForTask(); err != nil {
		return err
	}
	runtime.LockOSThread() // the first lock in a program makes a thread
	runtime.UnlockOSThread()
	return roomForTask()
}

// refillSpares is called when a second helper comes, and not before: one helper
// needs no spare, and perhaps the last place.
func refillSpares() {
	crews.mu.Lock()
	have := spares
	crews.mu.Unlock()
	want := wantedSpares()
	if have > want/2 {
		return
	}
	made := makeSpares(want, roomForTask)
	crews.mu.Lock()
	spares = made
	crews.mu.Unlock()
}

// makeSpares holds threads until it has as many as wanted, and then gives them to
// the runtime. Before each thread it asks the kernel, because the runtime dies of a
// refusal. If the limit is near, half of the threads end, because the places are for
// helpers.
//
// A goroutine holds its thread until the last one is made. If it gave the thread
// back at once, the next goroutine would get the same one.
func makeSpares(want int, room func() error) (made int) {
	keep := make(chan bool)
	var held sync.WaitGroup
	n := 0
	for ; n < want && room() == nil; n++ {
		locked := make(chan struct{})
		held.Go(func() { holdThread(locked, keep) })
		<-locked
	}
	near := room() != nil
	for i := range n {
		kept := !near || i%2 == 0
		keep <- kept
		if kept {
			made++
		}
	}
	held.Wait()
	return made
}

// holdThread holds a thread until it is told whether to keep it for the runtime.
// Without the unlock the thread ends with the goroutine.
func holdThread(locked chan<- struct{}, keep <-chan bool) {
	runtime.LockOSThread()
	close(locked)
	if <-keep || !mayEnd() {
		runtime.UnlockOSThread()
	}
}

// mayEnd reports whether the calling thread may end. The main thread never ends, and
// its root directory stands for the program's in /proc. A thread that has started a
// process by itself is the parent task of that process. If it ended, a process that
// asked for a parent-death signal would get it.
func mayEnd() bool {
	if syscall.Gettid() == syscall.Getpid() {
		return false
	}
	return !hasChildren()
}

// hasChildren reports whether the calling thread has children that were not reaped.
// Some kernels do not tell. It makes raw system calls: during others the runtime may
// need one more thread.
func hasChildren() bool {
	const atFdCwd = -100
	path, cwd := []byte("/proc/thread-self/children\x00"), atFdCwd
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(&path[0])),
		syscall.O_RDONLY|syscall.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return false
	}
	defer func() { _, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0) }()
	var first [1]byte
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&first[0])), 1)
	return errno == 0 && n == 1
}

// roomForTask returns [syscall.EAGAIN] if there are as many processes and threads
// as there may be. It makes a process that ends at once, because its program has
// no name. No file tells the answer: the limits of the user, of the control group
// and of the system all count.
func roomForTask() error {
	defer beginStart()()
	if _, err := syscall.ForkExec("", nil, nil); !errors.Is(err, syscall.ENOENT) {
		return err // or another fault, as EMFILE, that a start would meet too
	}
	return nil
}
