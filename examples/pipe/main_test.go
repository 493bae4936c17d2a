package main

import (
	_ "embed"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

// The program runs twice in one process. A search takes its time, and chooses itself which
// thread goes on. TestProcessesHaveOneOrder has the rest 200 times.
func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 2 {
		var out strings.Builder
		require.NoError(t, run(nil, strings.NewReader(""), &out))
		require.Equal(t, transcript, out.String())
	}
}

// The processes really run, and only the CPU makes their order.
func TestProcessesHaveOneOrder(t *testing.T) {
	want, _, found := strings.Cut(transcript, "# all orders")
	require.True(t, found)
	for range 200 {
		var out strings.Builder
		require.NoError(t, processes(&out))
		require.Equal(t, want, out.String())
	}
}

// A player can play each order that the search counts, and wins as often.
func TestGames(t *testing.T) {
	for name, want := range map[string]struct{ orders, wins int }{
		"if":    {1794, 120},
		"queue": {1398, 318},
		"lock":  {4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if want.orders > 100 && (testing.Short() || models.Race) {
				t.Skip("takes its time")
			}
			steptest.All(t, games[name], want.orders, want.wins)
		})
	}
}

// A player sees the next step of each thread.
func TestEachStepHasAName(t *testing.T) {
	names := map[string]bool{}
	for _, game := range games {
		explore.Search{Each: func(o explore.Order) {
			for _, step := range o.Steps {
				_, name, _ := strings.Cut(step, ": ")
				names[name] = true
			}
		}}.Run(game.Model)
	}
	require.Equal(t, []string{"read 1 byte", "return", "sleep", "take the lock again", "write"}, slices.Sorted(maps.Keys(names)))
}

func TestPlayerWins(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run([]string{"-step", "lock"}, strings.NewReader("1\n2\n"), &out))
	require.Contains(t, out.String(), "reader: read 1 byte")
}

// Each wrong use has exit status 2.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"if"}, {"-step"}, {"-step", "mutex"}, {"-stop", "if"}, {"-step", "if", "queue"}} {
		err := run(args, strings.NewReader(""), io.Discard)
		require.Error(t, err, args)
		require.Equal(t, 2, status(err), args)
	}
	require.Zero(t, status(nil))
	require.Equal(t, 1, status(io.ErrUnexpectedEOF))
}
