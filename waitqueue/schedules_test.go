package waitqueue_test

import (
	"testing"

	"github.com/kprim/kprim/internal/explore"
)

// schedules is how many schedules the model of each test has.
var schedules = map[string]int{
	"TestInterleavingsCancelAndWake/B=background/ctx":      160,
	"TestInterleavingsCancelAndWake/B=background/task":     255,
	"TestInterleavingsCancelAndWake/B=task/ctx":            160,
	"TestInterleavingsCancelAndWake/B=task/task":           255,
	"TestInterleavingsCancelOnTheWay/ctx":                  17708,
	"TestInterleavingsCancelOnTheWay/task":                 19277,
	"TestInterleavingsCompletionBarging/background":        1287,
	"TestInterleavingsCompletionBarging/ctx":               1287,
	"TestInterleavingsCondSignalAndCancel/Wait":            4387,
	"TestInterleavingsCondSignalAndCancel/WaitFor":         4927,
	"TestInterleavingsCondSignalWithoutTheLock/background": 116,
	"TestInterleavingsCondSignalWithoutTheLock/ctx":        52,
	"TestInterleavingsDeadline":                            17708,
	"TestInterleavingsFirstComeFirstServed/ctx":            90,
	"TestInterleavingsFirstComeFirstServed/task":           176,
	"TestInterleavingsLateSignal":                          35,
	"TestInterleavingsOfTheOldLoop":                        5,
	"TestInterleavingsOneWaiterOneWaker/background":        24,
	"TestInterleavingsOneWaiterOneWaker/ctx":               12,
	"TestInterleavingsOneWaiterOneWaker/task":              24,
	"TestInterleavingsScheduleTimeout":                     181,
	"TestInterleavingsTrueBeforeTheEnd/ctx":                306,
	"TestInterleavingsTrueBeforeTheEnd/task":               1433,
	"TestInterleavingsTwoTokens/ctx":                       6058,
	"TestInterleavingsTwoTokens/task":                      6058,
	"TestInterleavingsTwoTokensAndCancel/ctx":              4966,
	"TestInterleavingsTwoTokensAndCancel/task":             49009,
	"TestInterleavingsWaitAny/background":                  96,
	"TestInterleavingsWaitAny/ctx":                         96,
	"TestInterleavingsWaitHeld":                            8369,
	"TestInterleavingsWaitHeldTwoTokens":                   2052,
	"TestInterleavingsWaitLocked/background":               55,
	"TestInterleavingsWaitLocked/ctx":                      13,
	"TestInterleavingsWatcherAndTaker/background":          360,
	"TestInterleavingsWatcherAndTaker/ctx":                 66,
	"TestInterleavingsWatcherAndTaker/task":                360,
	"TestInterleavingsWokenEntry":                          45,
}

// fewer is the same for the models that have fewer points if time is short.
var fewer = map[string]int{
	"TestInterleavingsCancelOnTheWay/ctx":          767,
	"TestInterleavingsCancelOnTheWay/task":         1092,
	"TestInterleavingsCondSignalAndCancel/Wait":    1401,
	"TestInterleavingsCondSignalAndCancel/WaitFor": 1401,
	"TestInterleavingsDeadline":                    767,
}

func TestREADMESaysHowManySchedulesThereAre(t *testing.T) {
	if timeIsShort() {
		t.Skip("the README counts all schedules")
	}
	explore.Stated(t, "waitqueue", schedules, mutants)
}
