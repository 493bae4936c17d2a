//go:build linux || darwin || freebsd

package usermodehelper

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartsInProgressAreAwaitedButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		awaitStarts(time.Hour)
		require.Zero(t, time.Since(begin), "none is in progress")

		endHung, endSlow := beginStart(), beginStart()
		time.AfterFunc(time.Minute, endSlow)
		awaitStarts(time.Hour)
		require.Equal(t, time.Hour, time.Since(begin), "one of them hangs")

		beginStart()() // and holds up no other
		time.AfterFunc(time.Minute, endHung)
		awaitStarts(time.Hour)
		require.Equal(t, time.Hour+time.Minute, time.Since(begin))
	})
}
