package rwevent_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// orders is how many orders the model of each test has.
var orders = models.Pins{
	"TestInterleavingsPostsAndTakers/Slot":        292,
	"TestInterleavingsPostsAndTakers/Table":       300,
	"TestInterleavingsCloseAndTakers/Slot":        220,
	"TestInterleavingsCloseAndTakers/Table":       220,
	"TestInterleavingsPostsAndLoops/Slot":         2978,
	"TestInterleavingsPostsAndLoops/Table":        3982,
	"TestInterleavingsEndOfALoop/Slot":            3632,
	"TestInterleavingsEndOfALoop/Table":           3540,
	"TestInterleavingsBreakAndInterruption/Slot":  1613,
	"TestInterleavingsBreakAndInterruption/Table": 1341,
	"TestInterleavingsTakeOfAKey":                 1940,
	"TestInterleavingsPostsAndWatcher/Slot":       74,
	"TestInterleavingsPostsAndWatcher/Table":      3684,
}

func TestREADMESaysHowManyOrdersThereAre(t *testing.T) {
	orders.Stated(t, "rwevent", len(mutants))
}
