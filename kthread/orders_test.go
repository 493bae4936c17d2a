package kthread_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// orders is how many orders the model of each test has.
var orders = models.Pins{
	"TestInterleavingsStopAndPark":                       4075,
	"TestInterleavingsStopAndParkFirst":                  18378,
	"TestInterleavingsSleepAndPark":                      11,
	"TestInterleavingsParkIsAcknowledgedByAParkedThread": 161,
	"TestInterleavingsParkAndUnpark":                     583,
	"TestInterleavingsParkAndExit":                       44,
	"TestInterleavingsStopAndSignal":                     1406,
	"TestInterleavingsStart/Goexit":                      1,
	"TestInterleavingsStart/Goexit_and_cancel":           192,
	"TestInterleavingsStart/ready":                       10,
	"TestInterleavingsStart/ready_and_cancel":            326,
	"TestInterleavingsStart/return":                      1,
	"TestInterleavingsStart/return_and_cancel":           192,
	"TestInterleavingsStopTwice":                         1500,
	"TestInterleavingsCancelOfAWorkThatQueuesItself":     8,
	"TestInterleavingsDoneAndStopAgree":                  61,
	"TestInterleavingsStopAndContext/sleeps":             23,
	"TestInterleavingsStopAndContext/looks":              24,
	"TestInterleavingsWaitForARunAndPark/Worker.Flush":   92,
	"TestInterleavingsWaitForARunAndPark/CancelSync":     84,
	"TestInterleavingsWaitForARunAndPark/Work.Flush":     92,
	"TestInterleavingsWaitExclusiveLockedAndStop":        3525,
	"TestInterleavingsWaitLockedTimeoutAndStop":          1437,
	"TestInterleavingsFlushAndCancelInAParkedWorker":     2,
	"TestInterleavingsTwoReasons":                        222,
	"TestInterleavingsStopping/asked":                    336,
	"TestInterleavingsStopping/by_itself":                30,
	"TestInterleavingsStopWith/ends_by_itself":           10,
	"TestInterleavingsStopWith/sleeps":                   62,
}

func TestREADMESaysHowManyOrdersThereAre(t *testing.T) {
	orders.Stated(t, "kthread", len(mutants))
}
