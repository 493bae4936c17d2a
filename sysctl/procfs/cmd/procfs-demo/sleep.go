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

// A sleep is /proc/sleep of article 3, with counts of its opens and releases.
type sleep struct {
	sleepfile.File
	opens, releases atomic.Int64
	screen          *log.Logger
}

func newSleep(screen *log.Logger) *sleep {
	s := &sleep{screen: screen}
	s.Log, s.Name = screen.Printf, name
	return s
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
