package main

import (
	"testing"

	"github.com/kprim/kprim/examples/internal/pictures"
)

// The lines of the log are marks on the lane of the opener that prints them.
func TestPicture(t *testing.T) {
	picture := func(f *file) func() (story, cleanup func()) {
		return func() (story, cleanup func()) {
			f.window, f.waitQ.Name = next, "WaitQ"
			return pictures.Thread("A", func() { f.scene(pictures.Marks, "") }), nil
		}
	}
	pictures.Check(t,
		pictures.Form{Name: "broken", SetUp: picture(&file{test: test})},
		pictures.Form{Name: "right", SetUp: picture(&file{test: testAndSet})})
}
