package kthread_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// orders is how many orders the model of each test has.
var orders = models.Pins{
	"TestInterleavingsStopAndPark":                            4075,
	"TestInterleavingsStopAndParkFirst":                       18378,
	"TestInterleavingsSleepAndPark":                           11,
	"TestInterleavingsParkIsAcknowledgedByAParkedThread":      161,
	"TestInterleavingsParkAndUnpark":                          583,
	"TestInterleavingsParkAndExit":                            44,
	"TestInterleavingsStopAndSignal":                          1406,
	"TestInterleavingsStart/Goexit":                           1,
	"TestInterleavingsStart/Goexit_and_cancel":                192,
	"TestInterleavingsStart/ready":                            10,
	"TestInterleavingsStart/ready_and_cancel":                 326,
	"TestInterleavingsStart/return":                           1,
	"TestInterleavingsStart/return_and_cancel":                192,
	"TestInterleavingsStopTwice":                              1500,
	"TestInterleavingsCancelOfAWorkThatQueuesItself":          8,
	"TestInterleavingsWorkRunsOnceAtATime":                    132,
	"TestInterleavingsOrderedWorks":                           20,
	"TestInterleavingsWorksInParallel":                        20,
	"TestInterleavingsIdleExitAndEnqueue":                     8511,
	"TestInterleavingsFlushOfAWorkqueue":                      109,
	"TestInterleavingsFlushOfAWork":                           27,
	"TestInterleavingsCancelInAWorkqueue":                     337,
	"TestInterleavingsDrainAndEnqueue":                        190,
	"TestInterleavingsAskStopAndEnqueue":                      553,
	"TestInterleavingsDestroyAndEnqueue":                      9,
	"TestInterleavingsGoexitInAWorkqueue":                     7,
	"TestInterleavingsDestroyAndCancel":                       30,
	"TestInterleavingsEnqueueAndRun":                          614,
	"TestInterleavingsDoneAndStopAgree":                       61,
	"TestInterleavingsStopAndContext/sleeps":                  23,
	"TestInterleavingsStopAndContext/looks":                   24,
	"TestInterleavingsWaitForARunAndPark/Worker.Flush":        92,
	"TestInterleavingsWaitForARunAndPark/CancelSync":          84,
	"TestInterleavingsWaitForARunAndPark/Work.Flush":          92,
	"TestInterleavingsWaitExclusiveLockedAndStop":             3525,
	"TestInterleavingsWaitLockedTimeoutAndStop":               1437,
	"TestInterleavingsFlushAndCancelInAParkedWorker":          2,
	"TestInterleavingsTwoReasons":                             222,
	"TestInterleavingsStopping/asked":                         336,
	"TestInterleavingsStopping/by_itself":                     30,
	"TestInterleavingsContextEndsFirst/a_signal_ends_a_sleep": 15,
	"TestInterleavingsContextEndsFirst/a_step_of_its_own":     4,
	"TestInterleavingsContextEndsFirst/a_look":                3,
	"TestInterleavingsStopWithOfAWorkqueue/is_destroyed":      30,
	"TestInterleavingsStopWithOfAWorkqueue/is_not":            25,
	"TestInterleavingsStopWith/ends_by_itself":                10,
	"TestInterleavingsStopWith/sleeps":                        62,
}

func TestREADMESaysHowManyOrdersThereAre(t *testing.T) {
	orders.Stated(t, "kthread", len(mutants))
}
