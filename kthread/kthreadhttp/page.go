package kthreadhttp

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
)

const none = "-" // in a cell of a table

// page answers with all that there is.
func (a *answer) page(ctx context.Context, h *Handler) {
	a.threads(kthread.Tasks())
	a.queues(trace.Queues())
	if h.Recorder == nil {
		return
	}
	fmt.Fprintln(&a.text)
	if a.picture(ctx, h, "text"); a.err != nil {
		fmt.Fprintln(&a.text, a.err)
		a.err = nil
	}
}

// threads writes the table of kthread.Infos, with a column for spurious wake-ups.
func (a *answer) threads(infos kthread.Infos) {
	spurious := map[int]string{}
	for _, s := range trace.Tasks() {
		spurious[s.Pid] = strconv.FormatUint(s.Spurious, 10)
	}
	wide := 15
	for _, i := range infos {
		wide = max(wide, utf8.RuneCountInString(printable(i.Wchan)))
	}
	wide = min(wide, 40) // one long name must not widen all lines
	fmt.Fprintf(&a.text, "  PID S ELAPSED WAKE-UPS SPURIOUS %-*s COMMAND\n", wide, "WCHAN")
	for _, i := range infos {
		fmt.Fprintf(&a.text, "%5d %s %7v %8d %8s %-*s [%s]\n", i.Pid, i.State, i.Age.Truncate(time.Second), i.WakeUps,
			cmp.Or(spurious[i.Pid], none), wide, printable(i.Wchan), printable(i.Comm()))
	}
}

// queues writes a table below the first one, if anything counts.
func (a *answer) queues(stats []trace.QueueStat) {
	if stats == nil {
		return
	}
	fmt.Fprintf(&a.text, "\nWAITERS WAKE-UPS SPURIOUS    LONGEST QUEUE\n")
	for _, q := range stats {
		fmt.Fprintf(&a.text, "%7d %8d %8d %10v %s\n", q.Waiters, q.WakeUps, q.Spurious, q.Longest.Round(time.Microsecond), printable(q.Name))
	}
}

// printable returns a name for a table. A name that would break the line, or change the
// colours of a terminal, is in quotes.
func printable(name string) string {
	hidden := func(r rune) bool { return !strconv.IsPrint(r) }
	if !utf8.ValidString(name) || strings.ContainsFunc(name, hidden) {
		return strconv.Quote(name)
	}
	return cmp.Or(name, none)
}
