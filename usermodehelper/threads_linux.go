package usermodehelper

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
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

// roomForThread returns [syscall.EAGAIN] if there is no place for the first thread
// of a crew.
func roomForThread() error {
	if err := roomForTask(); err != nil {
		return err
	}
	runtime.LockOSThread() // the first lock in a program makes a thread
	runtime.UnlockOSThread()
	return roomForTask()
}

// refillSpares is called when a second helper comes, and not before: one helper
// needs no spare, and perhaps the last place. The caller holds crews.mu.
func refillSpares() {
	if want := wantedSpares(); spares <= want/2 {
		spares = makeSpares(want)
	}
}

// makeSpares holds threads until it has as many as wanted, and then gives them to
// the runtime. It asks the kernel before each thread, because the runtime dies of a
// refusal. If the limit is near, half of the threads end, because the places are for
// helpers. Each goroutine holds its thread until the last one is made, or a thread
// would count twice.
func makeSpares(want int) (made int) {
	keep := make(chan bool)
	var held sync.WaitGroup
	n := 0
	for ; n < want && roomForTask() == nil; n++ {
		locked := make(chan struct{})
		held.Go(func() { holdThread(locked, keep) })
		<-locked
	}
	near := roomForTask() != nil
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
	if <-keep {
		runtime.UnlockOSThread()
	}
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
