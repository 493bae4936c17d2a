package main

import (
	"io/fs"
	"syscall"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// The flags of an open. The values are Linux's, because some systems lack one.
const (
	readOnly  = 0
	writeOnly = 1
	readWrite = 2
	nonblock  = 0o4000
)

// The operations that [procFile.permission] knows. The article's comment says
// that 0 is execute, but the kernel's value is 1.
const (
	mayWrite = 2
	mayRead  = 4
)

// A process is the caller of a system call. The kernel calls it current.
type process struct {
	*kthread.Current
	euid int
}

// A procFile is /proc/sleep. Its fields are the global variables of the
// module.
//
// Invariant: the caller of a method has the CPU, which guards all fields.
// The article's kernel had one CPU without preemption, or held the big kernel
// lock, and needed no other lock either.
type procFile struct {
	cpu *onecpu.CPU
	log *printk.Log

	message     string          // static char Message[MESSAGE_LENGTH]
	alreadyOpen bool            // static atomic_t Already_Open
	waitQ       waitqueue.Queue // static DECLARE_WAIT_QUEUE_HEAD(WaitQ)
	useCount    int             // of the module
	removed     bool            // the module is gone
}

// newProcFile is sleep_init.
func newProcFile(cpu *onecpu.CPU, log *printk.Log) *procFile {
	f := &procFile{cpu: cpu, log: log}
	f.waitQ.Name = "WaitQ"
	return f
}

// say is say of the module: it prints a line about the calling process.
func (f *procFile) say(name, text string) { f.log.Printk("%s %s", name, text) }

// stat returns the numbers that ls -l shows.
func (f *procFile) stat() (mode fs.FileMode, links, uid, gid, size int) {
	return 0o644, 1, 0, 0, 80 // S_IFREG | S_IRUGO | S_IWUSR, 1, 0, 0, 80
}

// open is open(2). It returns when the file is free, or when a signal comes.
// Until then the caller is inside the module.
func (f *procFile) open(p *process, flags int) (*file, error) {
	op := [4]int{mayRead, mayWrite, mayRead | mayWrite, 0}[flags&3]
	err := f.permission(p, op) // before it can block
	if f.removed {
		err = syscall.ENOENT
	}
	if err == nil {
		err = f.moduleOpen(p, flags)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/proc/sleep", Err: err}
	}
	return &file{inode: f, name: p.Thread().Name(), op: op}, nil
}

// permission is module_permission of the article: every user reads, and root
// writes. Today the mode 0644 says the same.
func (f *procFile) permission(p *process, op int) error {
	// The article refuses 6, for both, to root too.
	asRoot := op&^mayRead == mayWrite && p.euid == 0
	if op == mayRead || asRoot {
		return nil
	}
	return syscall.EACCES
}

// take tests and sets in one step, as take of the module does: no thread runs
// in between, so only one opener wins.
func (f *procFile) take() bool {
	if f.alreadyOpen {
		return false
	}
	f.alreadyOpen = true // atomic_cmpxchg(&Already_Open, 0, 1)
	return true
}

// moduleOpen is module_open.
func (f *procFile) moduleOpen(p *process, flags int) error {
	f.useCount++  // try_module_get(THIS_MODULE)
	if f.take() { // if (take())
		return nil
	}
	var err error = syscall.EAGAIN // err = -EAGAIN
	// if (!(file->f_flags & O_NONBLOCK))
	if flags&nonblock == 0 {
		err = f.waitForFile(p) // err = wait_for_file()
	}
	if err != nil {
		// No close will give it back: the module could never be unloaded.
		f.useCount-- // module_put(THIS_MODULE)
	}
	return err
}

// waitForFile is wait_for_file. It returns nil when the caller has the file.
func (f *procFile) waitForFile(p *process) error {
	name := p.Thread().Name()
	for {
		f.say(name, "waits") // say("waits")
		// if (wait_event_interruptible(WaitQ, !atomic_read(&Already_Open)))
		if !f.waitEvent(p) {
			f.say(name, "is interrupted") // say("is interrupted")
			return syscall.EINTR          // return -EINTR
		}
		f.say(name, "is woken") // say("is woken")
		if f.take() {           // while (!take())
			f.say(name, "gets it") // say("gets it")
			return nil
		}
	}
}

// waitEvent is wait_event_interruptible(WaitQ, !Already_Open), step by step. It
// returns false if a signal ended it.
func (f *procFile) waitEvent(p *process) bool {
	task := p.Task()
	wait := waitqueue.Entry{Task: task, Func: f.cpu.Enqueue}
	// Queue, then test. The article tests first. On a second CPU a close then
	// comes between test and queue, wakes no entry, and the opener sleeps on.
	f.waitQ.Add(&wait)
	defer f.waitQ.Remove(&wait)
	defer task.SetState(waitqueue.Running)
	for woken := false; ; woken = true {
		task.SetState(waitqueue.Interruptible)
		if !f.alreadyOpen {
			return true
		}
		// Test, then look at the signal. The article does not test again, and
		// fails with EINTR although the file is free.
		if p.Interrupted() {
			return false
		}
		if woken {
			f.say(p.Thread().Name(), "finds it open, sleeps again")
		}
		f.cpu.Schedule(task)
	}
}

// unload is sleep_exit. A module in use stays, because an opener that sleeps
// is inside it.
func (f *procFile) unload() error {
	if f.useCount > 0 {
		return syscall.EBUSY
	}
	f.removed = true // remove_proc_entry("sleep", NULL)
	return nil
}
