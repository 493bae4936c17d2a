package usermodehelper

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// spares is how many idle threads the runtime has got from this package and may
// still have. Guarded by crews.mu.
//
// The runtime needs more threads when many helpers start and end at once. It ends
// the program if it cannot make one. So there are some before the helpers fill the
// limit of processes. Each thread of a crew uses one up, because it ends with the
// crew.
var spares int

// wantedSpares returns how many spares there are at best. Most of a low limit is
// for helpers.
func wantedSpares() int {
	const many, rlimitNproc = 8, 6 // package syscall does not have RLIMIT_NPROC
	var limit syscall.Rlimit
	if syscall.Getrlimit(rlimitNproc, &limit) != nil {
		return many
	}
	return int(max(1, min(many, limit.Cur/5)))
}

// prepareThreads makes sure that a new crew can have a thread, and that there are
// spares. It returns [syscall.EAGAIN] if there is no place for one more thread. The
// caller holds crews.mu.
func prepareThreads() error {
	if err := roomForTask(); err != nil {
		return err
	}
	want := wantedSpares()
	if spares > want/2 {
		return nil
	}
	runtime.LockOSThread() // the first lock in a program makes a thread
	runtime.UnlockOSThread()
	var near bool
	spares, near = makeSpares(want)
	if near {
		return awaitRoom()
	}
	return nil
}

// makeSpares holds threads until it has as many as wanted, and then gives them to
// the runtime. It asks the kernel before each thread, because the runtime dies of a
// refusal. If the limit is near, half of the threads end, because the places are for
// helpers. Each goroutine holds its thread until the last one is made, or a thread
// would count twice.
func makeSpares(want int) (made int, near bool) {
	keep := make(chan bool)
	var held sync.WaitGroup
	n := 0
	for ; n < want && roomForTask() == nil; n++ {
		locked := make(chan struct{})
		held.Go(func() { holdThread(locked, keep) })
		<-locked
	}
	near = roomForTask() != nil
	for i := range n {
		kept := !near || i%2 == 0
		keep <- kept
		if kept {
			made++
		}
	}
	held.Wait()
	return made, near
}

// holdThread holds a thread until it is told whether to keep it for the runtime.
// Without the unlock the thread ends with the goroutine.
func holdThread(locked chan<- struct{}, keep <-chan bool) {
	runtime.LockOSThread()
	close(locked)
	if <-keep {
		runtime.UnlockOSThread()
	}
}

// awaitRoom waits for the end of a thread that was given back. It gives up soon:
// another process may have taken the place.
func awaitRoom() (err error) {
	for range 20 {
		if err = roomForTask(); err == nil {
			return nil
		}
		<-time.After(time.Millisecond)
	}
	return err
}

// roomForTask returns [syscall.EAGAIN] if there are as many processes and threads
// as there may be. It makes a process that ends at once, because its program has
// no name. No file tells the answer: the limits of the user, of the control group
// and of the system all count.
func roomForTask() error {
	defer beginStart()()
	if _, err := syscall.ForkExec("", nil, nil); errors.Is(err, syscall.EAGAIN) {
		return err
	}
	return nil
}
