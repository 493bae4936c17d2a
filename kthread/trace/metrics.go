package trace

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A metric is one number of each queue.
type metric struct {
	name, kind, help string
	value            func(QueueStat) string
}

var metrics = []metric{
	{"kprim_queue_waiters", "gauge", "Waiters that are in a wait now.",
		func(q QueueStat) string { return strconv.Itoa(q.Waiters) }},
	{"kprim_queue_wakeups_total", "counter", "Wake-ups that found a waiter.",
		func(q QueueStat) string { return strconv.FormatUint(q.WakeUps, 10) }},
	{"kprim_queue_spurious_wakeups_total", "counter", "Wake-ups after which the waiter had to sleep again.",
		func(q QueueStat) string { return strconv.FormatUint(q.Spurious, 10) }},
	{"kprim_queue_longest_sleep_seconds", "gauge", "The longest sleep since the counting began.",
		func(q QueueStat) string { return strconv.FormatFloat(q.Longest.Seconds(), 'g', -1, 64) }},
}

// WriteMetrics writes the numbers of [Queues] in the text format that Prometheus reads. The
// label queue is the name of the queue. While nothing counts, it writes nothing. The error is
// from w.
//
// The Content-Type is "text/plain; version=0.0.4; charset=utf-8".
func WriteMetrics(w io.Writer) error {
	queues := Queues()
	if queues == nil {
		return nil
	}
	var text strings.Builder
	for _, m := range metrics {
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, q := range queues {
			fmt.Fprintf(&text, "%s{queue=\"%s\"} %s\n", m.name, escapes.Replace(q.Name), m.value(q))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// escapes make a text the value of a label.
var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
