package main

import (
	"testing"

	"github.com/kprim/kprim/examples/internal/pictures"
	"github.com/kprim/kprim/waitqueue"
)

// Four openers wait. A close wakes all of them, or one.
func TestPicture(t *testing.T) {
	picture := func(add func(*waitqueue.Queue, *waitqueue.Entry)) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			h := &herd{add: add}
			return pictures.Thread("closer", func() {
				if err := h.handOn(4); err != nil {
					t.Error(err)
				}
			}), nil
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture((*waitqueue.Queue).Add)},
		pictures.Form{Name: "right", SetUp: picture((*waitqueue.Queue).AddExclusive)})
}
