package usermodehelper

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A crew is a few threads that start helpers, by [exec.Cmd.Start]. Each thread
// has a umask, a working directory and a root directory of its own (CLONE_FS).
// So it can give every helper the umask 022, and nothing changes for the rest of
// the program.
//
// Invariant: the threads of a crew live as long as any of its helpers runs. A
// thread is the parent task of the helpers that it has started. If it ended, a
// helper that had asked for a parent-death signal would get that signal.
//
// The threads share the table of descriptors with the program. A thread with a
// copy of the table would break three things. It would hold the program's pipes
// open. It would keep a file open for writing that another goroutine is about
// to execute. And a garbage collection on that thread would poll a descriptor
// that may be closed there.
type crew struct {
	root   rootID
	starts chan func() // unbuffered: an idle thread takes the next start

	threads int         // that run or are being made; guarded by crews.mu
	helpers int         // that are not over; guarded by crews.mu
	idle    *time.Timer // calls expire; nil until a helper is over; guarded by crews.mu
	ended   bool        // guarded by crews.mu
}

var crews struct {
	mu      sync.Mutex
	present *crew // starts the next helper, or nil; guarded by mu
}

// Optimization: a crew outlives its last helper by this time. Without it a
// helper that is started a moment later costs a new thread: 1.12 of os/exec
// instead of 1.04.
const crewLinger = 100 * time.Millisecond

// inCrew calls start on a thread of the present crew. If start returns nil, a
// helper runs, and the caller calls over when the helper is over.
func inCrew(start func() error) (over func(), err error) {
	c, err := joinCrew()
	if err != nil {
		return nil, err
	}
	c.run(func() { err = start() })
	if err != nil {
		c.leave()
		return nil, err
	}
	return c.leave, nil
}

// joinCrew returns the present crew. A program that has called chroot(2) gets a
// new one: the threads of the old crew still have the old root. Another mount of
// the same directory does not count as another root.
func joinCrew() (*crew, error) {
	making.Lock()
	defer making.Unlock()
	root := rootOfThread()
	c, others := joinPresent(root, nil)
	if c == nil {
		if err := roomForThread(); err != nil {
			return nil, err
		}
		c, others = joinPresent(root, &crew{root: root, starts: make(chan func())})
	}
	if others {
		refillSpares()
	}
	return c, nil
}

// joinPresent joins the present crew, or the other one in its place if it has
// another root. It reports whether the crew has other helpers.
func joinPresent(root rootID, other *crew) (c *crew, others bool) {
	crews.mu.Lock()
	defer crews.mu.Unlock()
	if crews.present == nil || crews.present.root != root {
		if other == nil {
			return nil, false
		}
		crews.present = other
	}
	crews.present.helpers++
	return crews.present, crews.present.helpers > 1
}

// run runs start on a thread of the crew and waits until it has returned. There
// are at most as many threads as processors, because the runtime keeps a
// processor for each start that is in progress.
func (c *crew) run(start func()) {
	done := make(chan struct{})
	job := func() { defer close(done); start() }
	select {
	case c.starts <- job:
	default:
		if !c.grow(job) {
			c.starts <- job
		}
	}
	<-done
}

// grow gives job to a new thread, if there may be one more. The first thread of a
// crew may always be made: [roomForThread] has asked for it.
func (c *crew) grow(job func()) bool {
	making.Lock()
	defer making.Unlock()
	n := c.addThread(1)
	if n > runtime.GOMAXPROCS(0) || n > 1 && roomForTask() != nil {
		c.addThread(-1)
		return false
	}
	go c.thread(job, make(chan struct{}))
	return true
}

func (c *crew) addThread(n int) int {
	crews.mu.Lock()
	defer crews.mu.Unlock()
	c.threads += n
	return c.threads
}

// thread is one thread of the crew. Where unshare(2) is refused, as by the
// seccomp filter of some containers, its helpers have the program's umask. A thread
// that may not end is held until found is closed. Otherwise the next goroutine could
// get it again, and the one after that, without end.
func (c *crew) thread(first func(), found chan struct{}) {
	runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
	if !mayEnd() {
		go c.thread(first, found)
		<-found
		runtime.UnlockOSThread()
		return
	}
	close(found)
	if syscall.Unshare(syscall.CLONE_FS) == nil {
		syscall.Umask(0o022)
		_ = syscall.Chdir("/") // or the program could not unmount a directory that it has left
	}
	first()
	for start := range c.starts {
		start()
	}
}

// leave says that a helper is over, or was not started.
func (c *crew) leave() {
	crews.mu.Lock()
	defer crews.mu.Unlock()
	c.helpers--
	if c.idle == nil {
		c.idle = time.AfterFunc(crewLinger, c.expire)
	} else {
		c.idle.Reset(crewLinger)
	}
}

// expire ends the threads, unless a helper runs. It may be called twice: a Reset
// does not take back a call that has begun and waits for the lock.
func (c *crew) expire() {
	crews.mu.Lock()
	defer crews.mu.Unlock()
	if c.helpers > 0 || c.ended {
		return
	}
	c.ended = true
	close(c.starts)
	spares = max(0, spares-c.threads)
	if crews.present == c {
		crews.present = nil
	}
}

// A rootID tells root directories apart.
type rootID struct{ dev, ino uint64 }

// rootOfThread returns the root directory of the calling thread. It asks for
// "/" and not for a file in /proc, which a new root need not have.
func rootOfThread() rootID {
	var st syscall.Stat_t
	_ = syscall.Stat("/", &st) // a thread without a root starts nothing either
	return rootID{uint64(st.Dev), st.Ino}
}

// checkSys refuses the requests that the crew cannot serve. For example, a helper
// with CLONE_FS could change the directory of the thread that starts helpers.
func checkSys(sys *syscall.SysProcAttr) error {
	const newCgroup = 0x02000000 // CLONE_NEWCGROUP, which package syscall does not have everywhere
	const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC |
		syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | newCgroup
	switch {
	case sys.Ptrace:
		return fmt.Errorf("a helper cannot have Ptrace, because nobody would be its tracer: %w", syscall.EINVAL)
	case sys.Cloneflags&^namespaces != 0:
		return fmt.Errorf("the Cloneflags %#x ask for more than namespaces: %w", sys.Cloneflags, syscall.EINVAL)
	}
	return nil
}
