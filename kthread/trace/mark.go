package trace

import "github.com/kprim/kprim/internal/watch"

// Begin begins a slice of the calling goroutine, such as "parse". Slices nest: [End] ends the
// one that began last. While nothing records, Begin costs the load of a pointer.
//
// Kernel: tracing_mark_write
//
// Differs: takes a name, and needs no format.
func Begin(name string) { mark(sliceBegins, name, 0) }

// End ends the slice of the calling goroutine that began last. If the Writer is slow, a Begin or
// an End may be lost. So a slice may have no end.
func End() { mark(sliceEnds, "", 0) }

// Instant marks a moment of the calling goroutine.
func Instant(name string) { mark(instant, name, 0) }

// Counter says that the counter with this name has this value now. All goroutines share it.
func Counter(name string, value int64) { mark(counter, name, value) }

func mark(k kind, name string, n int64) {
	if watch.On() != nil {
		the.mark(k, name, n)
	}
}

func (r *tracer) mark(k kind, name string, n int64) {
	name = markName(name)
	if !r.enter() {
		return
	}
	defer r.leave()
	r.tell(event{kind: k, actor: r.actor(), text: name, n: n})
}
