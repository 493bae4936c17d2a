// Package dat turns a trace of package kthread/trace into the file trace.dat of trace-cmd, which
// KernelShark reads too. Neither of them reads the text.
package dat

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// Convert reads the text of a trace, and writes it as a trace.dat of version 6. It holds all of
// it in memory. Comments are left out, such as the one that tells of lost events.
//
// The error names the line that is not one of package trace. Then nothing was written.
//
// Kernel: trace-cmd.dat.v6, include/linux/ring_buffer.h
func Convert(dat io.Writer, text io.Reader) error {
	f := file{comms: map[int]string{}}
	lines := bufio.NewScanner(text)
	for number := 1; lines.Scan(); number++ {
		if err := f.add(lines.Text()); err != nil {
			return fmt.Errorf("dat: line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("dat: the text cannot be read: %w", err)
	}
	_, err := dat.Write(f.bytes())
	return err
}

// A file is a trace.dat in the making.
type file struct {
	comms map[int]string // by pid
	cpus  []buffer
}

// line has the groups comm, pid, CPU, seconds, nanoseconds, event and the rest:
//
//	waiter/0-101     (      1) [000] ....     0.011000000: sched_switch: prev_comm=...
var line = regexp.MustCompile(`^ *(.+)-(\d+) +\([ \d-]+\) \[(\d{1,5})\] .... +(\d+)\.(\d{9}): (\w+): (.*)$`)

// add adds a line of the text.
func (f *file) add(text string) error {
	if text == "" || text[0] == '#' {
		return nil
	}
	m := line.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q is not a line of a trace", text)
	}
	var pid, cpu, at int
	for i, s := range []string{m[2], m[3], m[4] + m[5]} {
		n, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		*[]*int{&pid, &cpu, &at}[i] = n
	}
	record, err := encode(m[6], pid, m[7])
	if err != nil {
		return err
	}
	f.comms[pid] = m[1]
	for len(f.cpus) <= cpu {
		f.cpus = append(f.cpus, buffer{})
	}
	return f.cpus[cpu].add(uint64(at), record)
}
