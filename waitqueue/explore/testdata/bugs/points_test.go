package bugs

import (
	"strings"
	"sync"
	"testing"

	"github.com/kprim/kprim/waitqueue/explore"
)

// search takes a model through all its orders. The code stops at its own points, and has
// the locks of the explorer.
func search(t *testing.T, model func(*explore.Model)) explore.Result {
	t.Helper()
	atBefore, newLockBefore := at, newLock
	defer func() { at, newLock = atBefore, newLockBefore }()
	return explore.Search{}.Find(t, func(m *explore.Model) {
		at = m.At
		newLock = func() sync.Locker { return m.NewLock() }
		model(m)
	})
}

// requireBad fails unless there are that many orders, and that many bad ones, of which the
// simplest is printed like this.
func requireBad(t *testing.T, r explore.Result, orders, bad int, want string) {
	t.Helper()
	if r.Orders != orders || r.Bad != bad || bad == 0 {
		t.Fatalf("%d orders were wanted, and %d bad. There are %s", orders, bad, r)
	}
	if got := r.Simplest.String(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("the simplest bad order is\n%s", got)
	}
}

// requireGood fails unless there are that many orders, and none is bad.
func requireGood(t *testing.T, r explore.Result, orders int) {
	t.Helper()
	if r.Orders != orders || r.Bad != 0 {
		t.Errorf("%d orders were wanted, and none bad. There are %s", orders, r)
	}
}
