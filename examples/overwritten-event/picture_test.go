package main

import (
	"fmt"
	"io"
	"testing"

	"github.com/kprim/kprim/examples/internal/pictures"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread/trace"
)

// A marked place shows its posts and takes in the trace.
type marked struct{ place }

func (m marked) Post(id int) error {
	trace.Instant(fmt.Sprint("posts ", id))
	return m.place.Post(id)
}

func (m marked) take(s onecpu.Sleeper) (int, error) {
	id, err := m.place.take(s)
	if err == nil {
		trace.Instant(fmt.Sprint("serves ", id))
	}
	return id, err
}

// Three events are posted, and then two wake-ups come without an event.
func TestPicture(t *testing.T) {
	picture := func(p place) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			p.WaitQueue().Name = "myevent"
			return pictures.Thread("monitor", func() {
				if err := serve(io.Discard, "", marked{p}); err != nil {
					t.Error(err)
				}
			}), nil
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture(&variable{})},
		pictures.Form{Name: "right", SetUp: picture(&table{})})
}
