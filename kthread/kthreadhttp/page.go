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
		spurious[s.Pid] = fmt.Sprint(s.Spurious)
	}
	rows := [][]string{{"PID", "S", "ELAPSED", "WAKE-UPS", "SPURIOUS", "WCHAN", "COMMAND"}}
	for _, i := range infos {
		rows = append(rows, []string{
			fmt.Sprint(i.Pid), i.State.String(), i.Age.Truncate(time.Second).String(), fmt.Sprint(i.WakeUps),
			cmp.Or(spurious[i.Pid], none), printable(i.Wchan), "[" + printable(i.Comm()) + "]",
		})
	}
	w := widths(rows, 5, 1, 7, 8, 8, 15)
	wchan := min(w[5], 40) // one long name must not widen all lines
	for _, r := range rows {
		fmt.Fprintf(&a.text, "%*s %*s %*s %*s %*s %-*s %s\n", w[0], r[0], w[1], r[1], w[2], r[2], w[3], r[3], w[4], r[4], wchan, r[5], r[6])
	}
}

// queues writes a table below the first one, if anything counts.
func (a *answer) queues(stats []trace.QueueStat) {
	if stats == nil {
		return
	}
	rows := [][]string{{"WAITERS", "WAKE-UPS", "SPURIOUS", "LONGEST", "QUEUE"}}
	for _, q := range stats {
		rows = append(rows, []string{
			fmt.Sprint(q.Waiters), fmt.Sprint(q.WakeUps), fmt.Sprint(q.Spurious),
			q.Longest.Round(time.Microsecond).String(), printable(q.Name),
		})
	}
	w := widths(rows, 7, 8, 8, 10)
	fmt.Fprintln(&a.text)
	for _, r := range rows {
		fmt.Fprintf(&a.text, "%*s %*s %*s %*s %s\n", w[0], r[0], w[1], r[1], w[2], r[2], w[3], r[3], r[4])
	}
}

// widths returns the width of each column, at least as given. A longer cell widens its column.
func widths(rows [][]string, least ...int) []int {
	for _, row := range rows {
		for i := range least {
			least[i] = max(least[i], utf8.RuneCountInString(row[i]))
		}
	}
	return least
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
