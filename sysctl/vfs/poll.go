package vfs

import (
	"fmt"
	"strings"
)

// PollEvents are the events of poll(2), with the numbers of Linux: a mask of the constants from
// [PollIn] on. The zero value has no event, so a process that polls sleeps on.
//
// Kernel: __poll_t
type PollEvents uint32

// The events of a [Poller].
//
// Kernel: EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDNORM, EPOLLWRNORM
const (
	PollIn     PollEvents = 0x001 // it can be read
	PollPri    PollEvents = 0x002 // it was changed
	PollOut    PollEvents = 0x004 // it can be written
	PollErr    PollEvents = 0x008 // with PollPri or PollHup
	PollHup    PollEvents = 0x010 // it is gone
	PollRdNorm PollEvents = 0x040 // with PollIn
	PollWrNorm PollEvents = 0x100 // with PollOut
)

// pollNames are the names of events in poll(2), from the lowest bit on.
var pollNames = []struct {
	event PollEvents
	name  string
}{
	{PollIn, "POLLIN"}, {PollPri, "POLLPRI"}, {PollOut, "POLLOUT"}, {PollErr, "POLLERR"},
	{PollHup, "POLLHUP"}, {PollRdNorm, "POLLRDNORM"}, {PollWrNorm, "POLLWRNORM"},
}

// String returns the names of the events as strace(1) shows them, as in "POLLIN|POLLRDNORM".
// Other bits come last, as a number. The text of no event is "0".
func (e PollEvents) String() string {
	var parts []string
	for _, n := range pollNames {
		if e&n.event != 0 {
			parts = append(parts, n.name)
			e &^= n.event
		}
	}
	switch {
	case e != 0:
		parts = append(parts, fmt.Sprintf("%#x", uint32(e)))
	case parts == nil:
		return "0"
	}
	return strings.Join(parts, "|")
}
