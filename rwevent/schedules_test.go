package rwevent_test

import (
	"testing"

	"github.com/kprim/kprim/internal/explore"
)

// schedules is how many schedules the model of each test has.
var schedules = map[string]int{
	"TestInterleavingsPostsAndTakers/Slot":   292,
	"TestInterleavingsPostsAndTakers/Table":  300,
	"TestInterleavingsCloseAndTakers/Slot":   220,
	"TestInterleavingsCloseAndTakers/Table":  220,
	"TestInterleavingsPostsAndWatcher/Slot":  74,
	"TestInterleavingsPostsAndWatcher/Table": 3684,
}

func TestREADMESaysHowManySchedulesThereAre(t *testing.T) {
	explore.Stated(t, "rwevent", schedules, mutants)
}
