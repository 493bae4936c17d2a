package waitqueue_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/waitqueue/explore"
)

// orders is how many orders the model of each test has.
var orders = models.Pins{
	"TestInterleavingsCancelAndWake/B=background/ctx":      160,
	"TestInterleavingsCancelAndWake/B=background/task":     255,
	"TestInterleavingsCancelAndWake/B=task/ctx":            160,
	"TestInterleavingsCancelAndWake/B=task/task":           255,
	"TestInterleavingsCancelOnTheWay/ctx":                  17708,
	"TestInterleavingsCancelOnTheWay/task":                 19277,
	"TestInterleavingsCompletionBarging/background":        1287,
	"TestInterleavingsCompletionBarging/ctx":               1287,
	"TestInterleavingsCondAndOneTaskForTwo":                17767,
	"TestInterleavingsCondSignalAndCancel/Wait":            27092,
	"TestInterleavingsCondSignalAndCancel/WaitFor":         9835,
	"TestInterleavingsCondSignalAndCancel/WithTask":        9835,
	"TestInterleavingsCondSignalWithoutTheLock/WithTask":   126,
	"TestInterleavingsCondSignalWithoutTheLock/background": 126,
	"TestInterleavingsCondSignalWithoutTheLock/ctx":        58,
	"TestInterleavingsDeadline":                            17708,
	"TestInterleavingsEndInTwoSteps":                       255,
	"TestInterleavingsEndInTwoStepsAndASignal":             155,
	"TestInterleavingsFirstComeFirstServed/WithTask":       72,
	"TestInterleavingsFirstComeFirstServed/ctx":            90,
	"TestInterleavingsFirstComeFirstServed/task":           176,
	"TestInterleavingsLateSignal":                          35,
	"TestInterleavingsLateSignalAndACond":                  35,
	"TestInterleavingsOfTheRightLoop":                      5,
	"TestInterleavingsOneTaskForTwo":                       7698,
	"TestInterleavingsOneWaiterOneWaker/WithTask":          24,
	"TestInterleavingsOneWaiterOneWaker/background":        24,
	"TestInterleavingsOneWaiterOneWaker/ctx":               12,
	"TestInterleavingsOneWaiterOneWaker/task":              24,
	"TestInterleavingsScheduleTimeout":                     181,
	"TestInterleavingsTaskWaitExclusiveLocked":             3244,
	"TestInterleavingsTheTaskOfAWaitThatPanics":            272,
	"TestInterleavingsTrueBeforeTheEnd/WithTask":           419,
	"TestInterleavingsTrueBeforeTheEnd/ctx":                306,
	"TestInterleavingsTrueBeforeTheEnd/task":               1433,
	"TestInterleavingsTwoTokens/ctx":                       6058,
	"TestInterleavingsTwoTokens/task":                      6058,
	"TestInterleavingsTwoTokensAndCancel/WithTask":         6571,
	"TestInterleavingsTwoTokensAndCancel/ctx":              4966,
	"TestInterleavingsTwoTokensAndCancel/task":             49009,
	"TestInterleavingsWaitAny/background":                  96,
	"TestInterleavingsWaitAny/ctx":                         96,
	"TestInterleavingsWaitHeld":                            8369,
	"TestInterleavingsWaitHeldTwoTokens":                   2052,
	"TestInterleavingsWaitLocked/WithTask":                 76,
	"TestInterleavingsWaitLocked/background":               76,
	"TestInterleavingsWaitLocked/task":                     76,
	"TestInterleavingsWaitLockedTimeout/alone":             135,
	"TestInterleavingsWaitLockedTimeout/interrupted":       2641,
	"TestInterleavingsWaitLocked/ctx":                      16,
	"TestInterleavingsWatcherAndTaker/background":          360,
	"TestInterleavingsWatcherAndTaker/ctx":                 66,
	"TestInterleavingsWatcherAndTaker/task":                360,
	"TestInterleavingsWokenEntry":                          45,
}

// fewer has the counts of the models that have fewer points if time is short.
var fewer = models.Pins{
	"TestInterleavingsCancelOnTheWay/ctx":       767,
	"TestInterleavingsCancelOnTheWay/task":      1092,
	"TestInterleavingsCondSignalAndCancel/Wait": 9785,
	"TestInterleavingsDeadline":                 767,
}

// bounded is how many orders there are with at most three preemptions.
var bounded = models.Pins{
	"TestBoundedBroadcastAndCancel":  106456,
	"TestBoundedWaitExclusiveLocked": 20029,

	"TestBoundedSearchIsSmaller/CancelOnTheWay/ctx":       3798,
	"TestBoundedSearchIsSmaller/CancelOnTheWay/task":      4169,
	"TestBoundedSearchIsSmaller/CondSignalAndCancel/Wait": 4594,
	"TestBoundedSearchIsSmaller/CondAndOneTaskForTwo":     4367,
	"TestBoundedSearchIsSmaller/Deadline":                 3798,
	"TestBoundedSearchIsSmaller/TwoTokensAndCancel/task":  4252,
}

// fewerBounded is the same with at most two, if time is short.
var fewerBounded = models.Pins{
	"TestBoundedBroadcastAndCancel":  27720,
	"TestBoundedWaitExclusiveLocked": 3888,
}

func TestBoundedSearchIsSmaller(t *testing.T) {
	if timeIsShort() {
		t.Skip("the large models have fewer points")
	}
	in := func(form string, model func(*explore.Model, string)) func(*explore.Model) {
		return func(m *explore.Model) { model(m, form) }
	}
	orders.Smaller(t, bounded,
		models.Large{Test: "TestInterleavingsCancelOnTheWay/ctx", Points: "tested", Model: in("ctx", cancelOnTheWay)},
		models.Large{Test: "TestInterleavingsCancelOnTheWay/task", Points: "tested", Model: in("task", cancelOnTheWay)},
		models.Large{Test: "TestInterleavingsCondSignalAndCancel/Wait", Points: "commit", Model: in("Wait", condSignalAndCancel)},
		models.Large{Test: "TestInterleavingsCondAndOneTaskForTwo", Model: condAndOneTaskForTwo},
		models.Large{Test: "TestInterleavingsDeadline", Points: "tested", Model: deadline},
		models.Large{Test: "TestInterleavingsTwoTokensAndCancel/task", Points: "interrupted", Model: in("task", twoTokensAndCancel)},
	)
}

func TestREADMESaysHowManyOrdersThereAre(t *testing.T) {
	if timeIsShort() {
		t.Skip("the README counts all orders")
	}
	orders.Stated(t, "waitqueue", len(mutants))
}
