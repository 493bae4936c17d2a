package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/usermodehelper"
)

// A module is the module of articles 1 and 2. A process writes the number of a data structure
// in trouble to kernel/myevent_id. The thread mykthread then starts the helper.
type module struct {
	printk func(format string, args ...any)
	dir    string // of the mount, without symbolic links
	tree   sysctl.Tree
	kernel vfs.Node // the directory of the entries

	handler sysctl.Var[string] // myevent_handler

	mu sync.Mutex         // makes a write of id and its post one step
	id sysctl.Var[uint32] // myevent_id

	// DECLARE_WAIT_QUEUE_HEAD(myevent_waitqueue), rwlock_t myevent_lock
	myevent rwevent.Slot[uint32]

	thread  *kthread.Thread
	helpers usermodehelper.Gate
}

// newModule registers the entries. helper is the first value of myevent_handler.
func newModule(printk func(string, ...any), helper string) (*module, error) {
	m := &module{printk: printk}
	m.handler.Store(helper)
	_, err := m.tree.Register("kernel",
		sysctl.Entry{Name: "myevent_handler", Mode: 0o644,
			Handler: printed{sysctl.DoString(&m.handler, 256), printk}},
		sysctl.Entry{Name: "myevent_id", Mode: 0o644,
			Handler: monitor{printed{sysctl.DoUint(&m.id), printk}, m}},
	)
	if err == nil {
		m.kernel, err = m.tree.VFS().Lookup("kernel")
	}
	return m, err
}

// A printed handler prints each write.
type printed struct {
	sysctl.Handler
	printk func(format string, args ...any)
}

func (h printed) Write(r *sysctl.Request, p []byte) (int, error) {
	n, err := h.Handler.Write(r, p)
	if err != nil {
		h.printk("%s: write(%.40q): %v", r.Path, p, vfs.Errno(err))
	} else {
		h.printk("%s: write(%.40q) = %d", r.Path, p, n)
	}
	return n, err
}

// A monitor handler posts each number that a process writes. A write that fails posts
// nothing. A second write by one descriptor is ignored, so it posts nothing either.
type monitor struct {
	sysctl.Handler
	*module
}

func (h monitor) Write(r *sysctl.Request, p []byte) (int, error) {
	h.mu.Lock() // without it, two writers could both store, and then both post the second number
	defer h.mu.Unlock()
	first := r.Pos == 0
	n, err := h.Handler.Write(r, p)
	if err == nil && first {
		h.printk("posted %d", h.id.Load())
		// write_lock, myevent_id = id, write_unlock, wake_up_interruptible
		err = h.myevent.Post(h.id.Load())
	}
	return n, err
}

// load is hello_init. The entries are mounted below dir.
func (m *module) load(dir string) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	m.dir, _ = filepath.Abs(dir)
	m.printk("Hello, I am a test module")
	m.printk("myevent_handler is %s", m.handler.Load())
	m.printk("create mythread <---------<")
	m.thread = kthread.Run("mykthread", m.mykthread)
}

// mykthread serves one event after the other. An event that comes meanwhile waits in the
// slot. The thread looks into the slot before it sleeps, so it misses no event.
func (m *module) mykthread(cur *kthread.Current) error {
	for {
		// add_wait_queue, set_current_state(TASK_INTERRUPTIBLE), schedule(), read_lock
		id, err := m.myevent.TakeBy(cur)
		if err != nil { // if (kthread_should_stop()) break
			m.printk("mykthread: out, kthread_should_stop 1")
			return nil
		}
		m.printk("mykthread: awake, event %d", id)
		if id != 0 { // if (myevent_id)
			m.runUmodeHandler(id)
		}
	}
}

// runUmodeHandler is run_umode_handler. It returns when the helper runs, or cannot run.
func (m *module) runUmodeHandler(id uint32) {
	m.printk("run_umode_handler is starting...")
	path := m.handler.Load() // argv[i++] = myevent_handler
	m.printk("argv[0] is %s", path)
	if path == "" {
		return // in the kernel too, an empty path runs nothing
	}
	program, err := m.program(path)
	if err == nil {
		// value = call_usermodehelper(argv[0], argv, envp, 0)
		_, err = m.helper(program, path, id).Exec(context.Background(), usermodehelper.WaitExec)
	}
	if err != nil {
		m.printk("call_usermodehelper: %d", -int(vfs.Errno(err)))
	}
}

// program returns the path without symbolic links. A program in the mount is refused. To
// start a process, a thread of Go waits until the new process runs the program. With one
// processor no other goroutine runs meanwhile. But the new process waits for the answer to
// its look-up, so both would wait for ever.
func (m *module) program(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return path, nil // Exec refuses it
	}
	program, err := filepath.EvalSymlinks(path)
	if strings.HasPrefix(program, m.dir+"/") {
		err = syscall.EDEADLK // as for an open of a file there
	}
	return program, err
}

// helper returns a helper with lines for its start and its end.
func (m *module) helper(program, argv0 string, id uint32) *usermodehelper.Helper {
	return &usermodehelper.Helper{
		Path:    program,
		Argv:    []string{argv0},
		Envp:    usermodehelper.Environ(fmt.Sprintf("TROUBLED_DS=%d", id)),
		Timeout: 5 * time.Second,
		Gate:    &m.helpers,
		Started: func(pid int) { m.printk("helper (%d): started", pid) },
		Cleanup: func(r usermodehelper.Result) {
			switch {
			case r.Pid == 0: // it could not be started
			case r.Err != nil:
				m.printk("helper (%d): %v", r.Pid, r.Err)
			default:
				m.printk("helper (%d): %v", r.Pid, r.Status)
			}
		},
	}
}

// unload is hello_exit. When it returns, the thread has ended, and so has each helper.
func (m *module) unload() {
	_ = m.thread.Stop()
	_ = m.helpers.Disable(context.Background()) // no context ends the wait: no error
	m.printk("bye, my dear! cruel world")
}
