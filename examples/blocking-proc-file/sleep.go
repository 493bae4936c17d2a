package main

import (
	"io/fs"
	"syscall"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// How a file is opened. The values are Linux's; not every system has them all.
const (
	readOnly  = 0
	writeOnly = 1
	readWrite = 2
	nonblock  = 0o4000
)

// What [procFile.permission] is asked for. To execute is 1, and not 0 as the
// original's comment has it.
const (
	mayWrite = 2
	mayRead  = 4
)

// A process is what a call of the file can know of its caller: current.
type process struct {
	*kthread.Current
	euid int
}

// A procFile is /proc/sleep: what sleep.c has as global variables. That kernel
// had one CPU and did not preempt its own code, or held the big kernel lock; so
// they need no lock. Here too: whoever calls a method has the CPU, which guards
// all fields.
type procFile struct {
	cpu *onecpu.CPU
	log *printk.Log

	message     string          // static char Message[MESSAGE_LENGTH]
	alreadyOpen bool            // int Already_Open = 0
	waitQ       waitqueue.Queue // static struct wait_queue *WaitQ = NULL
	useCount    int             // of the module
	removed     bool            // the module is
}

// newProcFile is init_module.
func newProcFile(cpu *onecpu.CPU, log *printk.Log) *procFile {
	f := &procFile{cpu: cpu, log: log}
	f.waitQ.Name = "WaitQ"
	return f
}

// stat is what ls -l shows. The mode is for reference: permission decides.
func (f *procFile) stat() (mode fs.FileMode, links, uid, gid, size int) {
	return 0o644, 1, 0, 0, 80 // S_IFREG | S_IRUGO | S_IWUSR, 1, 0, 0, 80
}

// open is open(2). What it asks of the module does not come back before the
// file is free: who sleeps in it is in the kernel, and its call goes on.
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

// permission is module_permission: everybody reads, and root writes.
func (f *procFile) permission(p *process, op int) error {
	// The original refuses an op of 6, for both, to root as well.
	asRoot := op&^mayRead == mayWrite && p.euid == 0
	// if (op == 4 || (op == 2 && current->euid == 0))
	if op == mayRead || asRoot {
		return nil
	}
	return syscall.EACCES // return -EACCES
}

// moduleOpen is module_open.
func (f *procFile) moduleOpen(p *process, flags int) error {
	// if ((file->f_flags & O_NONBLOCK) && Already_Open)
	if flags&nonblock != 0 && f.alreadyOpen {
		return syscall.EAGAIN // return -EAGAIN
	}
	f.useCount++ // MOD_INC_USE_COUNT
	if err := f.wait(p); err != nil {
		// No close will give it back: the module could never be unloaded.
		f.useCount-- // MOD_DEC_USE_COUNT
		return err   // return -EINTR
	}
	f.alreadyOpen = true // Already_Open = 1
	return nil
}

// wait is the loop of module_open. It returns when nobody has the file open, or
// when a signal is pending.
func (f *procFile) wait(p *process) error {
	task := p.Task()
	wait := waitqueue.Entry{Task: task, Func: f.cpu.Enqueue}
	// On the queue before the test. The original tests before it queues: with
	// a second CPU a close in between wakes nobody, and the opener sleeps on.
	f.waitQ.Add(&wait)
	defer f.waitQ.Remove(&wait)
	defer task.SetState(waitqueue.Running)
	for woken := false; ; woken = true {
		task.SetState(waitqueue.Interruptible)
		// Nobody runs between this and Already_Open = 1, or two would get in.
		if !f.alreadyOpen { // while (Already_Open)
			return nil
		}
		// After the test. The original looks at the signal and not at the file
		// again, and fails with EINTR though the file is free.
		if p.Interrupted() { // if (current->signal & ~current->blocked)
			return syscall.EINTR
		}
		if woken {
			f.log.Printk("%s: Already_Open again, sleeps", p.Thread().Name())
		}
		f.cpu.Schedule(task) // module_interruptible_sleep_on(&WaitQ)
	}
}

// unload is cleanup_module. A module that somebody uses stays: who sleeps in
// open is inside it.
func (f *procFile) unload() error {
	if f.useCount > 0 {
		return syscall.EBUSY
	}
	f.removed = true
	return nil
}
