package main

import (
	"io"
	"io/fs"
	"syscall"

	"github.com/kprim/kprim/examples/internal/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

const messageLength = 80 // #define MESSAGE_LENGTH 80

// How a file is opened. The values are Linux's; not every system has them all.
const (
	readOnly  = 0
	writeOnly = 1
	readWrite = 2
	nonblock  = 0o4000
)

// What [procFile.permission] is asked for.
const (
	mayWrite = 2
	mayRead  = 4
)

// A process is what a call of the file can know of its caller: current.
type process struct {
	*kthread.Current
	name string
	euid int
}

// A procFile is /proc/sleep: what sleep.c has as global variables. The article's
// kernel ran on one CPU and was not preempted, so that they need no lock. Here
// too: whoever calls a method has the CPU, which guards all fields.
type procFile struct {
	cpu    *onecpu.CPU
	printk func(format string, args ...any)

	message     string          // static char Message[MESSAGE_LENGTH]
	alreadyOpen bool            // int Already_Open = 0
	waitQ       waitqueue.Queue // static struct wait_queue *WaitQ = NULL
	useCount    int             // of the module
	removed     bool            // the module is
}

// newProcFile is init_module.
func newProcFile(cpu *onecpu.CPU, printk func(string, ...any)) *procFile {
	return &procFile{cpu: cpu, printk: printk, waitQ: waitqueue.Queue{Name: "WaitQ"}}
}

// stat is what ls -l shows. The mode is for reference: permission decides.
func (f *procFile) stat() (mode fs.FileMode, links, uid, gid, size int) {
	return 0o644, 1, 0, 0, 80 // S_IFREG | S_IRUGO | S_IWUSR, 1, 0, 0, 80
}

// permission is module_permission: everybody reads, and root writes.
func (f *procFile) permission(p *process, op int) error {
	// The article has op == 2, which refuses 6, for both, to root as well.
	if op == mayRead || op&^mayRead == mayWrite && p.euid == 0 { // if (op == 4 || (op == 2 && current->euid == 0))
		return nil
	}
	return syscall.EACCES // return -EACCES
}

// open is module_open. It blocks while somebody else has the file open.
func (f *procFile) open(p *process, flags int) (*file, error) {
	fail := func(err error) (*file, error) {
		return nil, &fs.PathError{Op: "open", Path: "/proc/sleep", Err: err}
	}
	// Nobody runs between this and the count. The original's file is found
	// before open is called and counts, and the module can go in between.
	if f.removed {
		return fail(syscall.ENOENT)
	}
	op := [4]int{readOnly: mayRead, writeOnly: mayWrite, readWrite: mayRead | mayWrite}[flags&3]
	if err := f.permission(p, op); err != nil { // before it can block
		return fail(err)
	}
	if flags&nonblock != 0 && f.alreadyOpen { // if ((file->f_flags & O_NONBLOCK) && Already_Open)
		return fail(syscall.EAGAIN) // return -EAGAIN
	}
	f.useCount++ // MOD_INC_USE_COUNT
	if err := f.wait(p); err != nil {
		f.useCount--     // MOD_DEC_USE_COUNT
		return fail(err) // return -EINTR
	}
	f.alreadyOpen = true // Already_Open = 1
	return &file{inode: f, name: p.name, op: op}, nil
}

// wait returns when nobody has the file open, or a signal is pending.
func (f *procFile) wait(p *process) error {
	task := p.Task()
	wait := waitqueue.Entry{Task: task, Func: f.cpu.Enqueue} // fixes who runs first
	// On the queue before the test. The original tests before it queues: with
	// a second CPU a close in between wakes nobody, and the opener sleeps on.
	f.waitQ.Add(&wait)
	defer f.waitQ.Remove(&wait)
	defer task.SetState(waitqueue.Running)
	for {
		task.SetState(waitqueue.Interruptible)
		// Nobody runs between this and Already_Open = 1. Without such a lock two
		// openers pass the original's test.
		if !f.alreadyOpen { // while (Already_Open)
			return nil
		}
		// After the test. The original looks at the signal and not at the file
		// again, and fails with EINTR though the file is free.
		if p.Pending() { // if (current->signal & ~current->blocked)
			return syscall.EINTR
		}
		f.printk("%s: Already_Open, sleeps", p.name)
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

// A file is /proc/sleep opened once.
type file struct {
	inode *procFile
	name  string // whose
	op    int    // what it is open for

	// What has to be read yet, and whether it was asked for. The original has
	// a static finished in their place: one reader's end of the file is met by
	// another, and tail -f is given the line again and again.
	rest  string
	begun bool

	closed bool
}

// Read is module_output: one line, and then the end of the file.
func (f *file) Read(buf []byte) (int, error) {
	if err := f.check(mayRead); err != nil {
		return 0, err
	}
	if !f.begun {
		f.begun = true
		f.rest = "Last input:" + f.inode.message + "\n" // sprintf(message, "Last input:%s\n", Message)
	}
	if f.rest == "" && len(buf) > 0 { // if (finished)
		return 0, io.EOF // return 0
	}
	n := copy(buf, f.rest) // put_user(message[i], buf + i)
	f.rest = f.rest[n:]    // finished = 1
	return n, nil          // return i
}

// Write is module_input. It keeps what the message has room for, in the place
// of what was there, and returns how much that is.
func (f *file) Write(buf []byte) (int, error) {
	if err := f.check(mayWrite); err != nil {
		return 0, err
	}
	n := min(len(buf), messageLength-1) // i < MESSAGE_LENGTH - 1 && i < length
	f.inode.message = string(buf[:n])   // get_user(Message[i], buf + i)
	if n < len(buf) {
		return n, io.ErrShortWrite // no error in C: the caller compares
	}
	return n, nil // return i
}

// Close is module_close.
func (f *file) Close() error {
	if err := f.check(0); err != nil {
		return err
	}
	f.closed = true
	f.inode.alreadyOpen = false // Already_Open = 0
	// All of them: that one takes the file and the rest sleep again is what the
	// article shows. An exclusive entry would have it wake one.
	if woken := f.inode.waitQ.WakeUpAll(); woken > 0 { // module_wake_up(&WaitQ)
		f.inode.printk("%s: closes the file, wakes %d", f.name, woken)
	}
	f.inode.useCount-- // MOD_DEC_USE_COUNT
	return nil
}

// check returns an error if the file is not open for op.
func (f *file) check(op int) error {
	switch {
	case f.closed:
		return fs.ErrClosed
	case f.op&op != op:
		return syscall.EBADF
	}
	return nil
}
