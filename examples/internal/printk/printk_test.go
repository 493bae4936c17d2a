package printk_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/printk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEachLineIsMarked(t *testing.T) {
	for text, want := range map[string]string{
		"hello":                       "kernel: hello\n",
		"hello\n":                     "kernel: hello\n",
		"bye, my dear!\n cruel world": "kernel: bye, my dear!\nkernel:  cruel world\n",
		"a\n\nb\n":                    "kernel: a\nkernel: \nkernel: b\n",
		"":                            "kernel: \n",
	} {
		var console strings.Builder
		printk.New(&console).Printk("%s", text)
		require.Equal(t, want, console.String())
	}
}

func TestLinesOfThreadsDoNotMix(t *testing.T) {
	var console strings.Builder
	log := printk.New(&console)
	var want []string
	var all sync.WaitGroup
	for thread := range 8 {
		for n := range 100 {
			want = append(want, fmt.Sprintf("kernel: thread %d, line %d", thread, n))
		}
		all.Go(func() {
			for n := range 100 {
				log.Printk("thread %d, line %d\n", thread, n)
			}
		})
	}
	all.Wait()
	got := strings.Split(strings.TrimSpace(console.String()), "\n")
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}

// The log of the examples and a program's own can be one.
func TestAnyHandlerTakesTheMessages(t *testing.T) {
	var out strings.Builder
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	printk.To(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: noTime})).Printk("hello, %d\n", 7)
	require.Equal(t, "level=WARN msg=\"hello, 7\"\n", out.String())
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no paper") }

func TestNothingIsHeardOfAConsoleThatFailsOrIsNotThere(t *testing.T) {
	printk.New(broken{}).Printk("hello")
	new(printk.Log).Printk("hello")
}
