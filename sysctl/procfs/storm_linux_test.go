//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

var rounds = flag.Int("rounds", 50, "how many rounds the storm of signals has")

// In each round, the holder closes the file while signals hit four cats that want it. Each
// order of the two must leave the file free.
func TestStormOfSignals(t *testing.T) {
	path, file := sleep(t)
	ends := map[int]int{}
	for range *rounds {
		for _, code := range storm(t, path, file) {
			ends[code]++
		}
		processes.Eventually(t, "the file is free", file.free)
	}
	t.Logf("%d rounds, how the cats ended: %v; %d opens, %d releases",
		*rounds, ends, file.opens.Load(), file.releases.Load())
	require.Equal(t, file.opens.Load(), file.releases.Load())
	require.Zero(t, file.UseCount())
	out, code := run(t, "cat", path)
	require.Equal(t, 0, code, out)
}

// storm is one round. It returns how the cats have ended.
func storm(t testing.TB, path string, file *counted) []int {
	holder := hold(t, path, file)
	cats := make([]*client, 4)
	for i := range cats {
		cats[i] = start(t, "cat", path)
	}
	if rand.IntN(4) > 0 { // otherwise the storm meets openers that have just come
		processes.Eventually(t, "the cats sleep in open", func() bool { return file.UseCount() == 1+len(cats) })
	}
	var senders sync.WaitGroup
	soon(&senders, func() { _ = holder.Process.Kill() })
	for _, cat := range cats {
		signals := someSignals()
		soon(&senders, func() {
			for _, signal := range signals {
				_ = cat.Process.Signal(signal) // it may have ended
			}
		})
	}
	senders.Wait()
	codes := make([]int, len(cats))
	for i, cat := range cats {
		codes[i] = cat.Wait(t)
	}
	return codes
}

func someSignals() []syscall.Signal {
	return [][]syscall.Signal{
		{syscall.SIGINT}, {syscall.SIGTERM}, {syscall.SIGKILL}, {syscall.SIGSTOP, syscall.SIGCONT},
	}[rand.IntN(4)]
}

// soon does something within the time that a close and an interrupt take.
func soon(senders *sync.WaitGroup, do func()) {
	senders.Go(func() {
		<-time.After(rand.N(4 * time.Millisecond))
		do()
	})
}

// The time is printed, and never asserted: it says more about the machine.
func TestHowLongAnInterruptTakes(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	took := make([]time.Duration, 100)
	for i := range took {
		cat := sleeping(t, file, 2, "cat", path)
		begin := time.Now()
		end(t, cat, syscall.SIGINT)
		took[i] = time.Since(begin)
		processes.Eventually(t, "it has left", func() bool { return file.UseCount() == 1 })
	}
	slices.Sort(took)
	t.Logf("from kill(2) to the end of cat, %d times: median %v, p99 %v", len(took), took[len(took)/2], took[len(took)*99/100])
}
