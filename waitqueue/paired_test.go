package waitqueue_test

import (
	"testing"

	"github.com/kprim/kprim/internal/paired"
)

// TestPairedContests prints how long each way takes, as a ratio to the first
// way of its contest.
//
//	go test ./waitqueue -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) {
	contests := []paired.Contest{pingPong(), condWithContext(), boundedQueue(), semaphoreOfTwo(), wakeNobody()}
	for _, size := range herds {
		contests = append(contests, wakeAll(size))
	}
	for _, size := range crowds {
		contests = append(contests, cancelOne(size))
	}
	paired.Test(t, contests...)
}
