package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync/atomic"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A sleep is /proc/sleep of article 3, which counts its opens and releases.
type sleep struct {
	sleepfile.File
	opens, releases atomic.Int64
	screen          *log.Logger
	holder          string // the name of the opener that has the file
}

func newSleep(screen *log.Logger) *sleep {
	s := &sleep{screen: screen}
	s.Log = s.log
	return s
}

// log prints a step. The opener may be gone when its file is released. So holder keeps its
// name, which needs no lock, because one opener at a time has the file.
func (s *sleep) log(opener vfs.Cred, step string) {
	switch step {
	case "has the file":
		s.holder = name(opener)
		s.printk("%s: %s", s.holder, step)
	case "closes the file":
		s.printk("%s: %s", s.holder, step)
	default:
		s.printk("%s: %s", name(opener), step)
	}
}

// printk prints a line, after the use count.
func (s *sleep) printk(format string, args ...any) {
	s.screen.Printf("%d %s", s.UseCount(), fmt.Sprintf(format, args...))
}

// name returns the name and the number of an opener, as ps shows them.
func name(opener vfs.Cred) string {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", opener.PID()))
	if err != nil {
		return opener.String() // the opener is in another pid namespace
	}
	return fmt.Sprintf("%s (%d)", strings.TrimSpace(string(comm)), opener.PID())
}

// Open counts the openers that get the file.
func (s *sleep) Open(ctx context.Context, cred vfs.Cred, flag int) (vfs.Handle, error) {
	h, err := s.File.Open(ctx, cred, flag)
	if err != nil {
		return nil, err
	}
	s.opens.Add(1)
	return handle{h, s}, nil
}

type handle struct {
	vfs.Handle
	sleep *sleep
}

// Release releases the file, and counts.
func (h handle) Release() {
	h.Handle.Release()
	h.sleep.releases.Add(1)
}
