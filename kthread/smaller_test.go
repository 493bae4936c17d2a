package kthread_test

import (
	"testing"

	"github.com/kprim/kprim/internal/models"
)

// bounded is how many orders there are with at most three preemptions.
var bounded = models.Pins{
	"TestBoundedSearchIsSmaller/StopAndParkFirst": 1138,
}

func TestBoundedSearchIsSmaller(t *testing.T) {
	orders.Smaller(t, bounded,
		models.Large{Test: "TestInterleavingsStopAndParkFirst", Points: "kthread", Model: stopAndParkFirst})
}
