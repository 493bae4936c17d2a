package peers

import (
	"errors"
	"expvar"
	"flag"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

const highest = 100

// A tunable is a number from 1 to 100.
type tunable struct {
	name string
	load func() int64
	set  func(text string) error
}

// tunables has an atomic first. Only the one of package sysctl has a text that users can read
// and write, with bounds, without code of ours.
func tunables() []tunable {
	return []tunable{atomicTunable(), expvarTunable(), flagTunable(), mapTunable(), sysctlTunable()}
}

func bounded(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (n < 1 || n > highest) {
		err = errors.New("out of bounds")
	}
	return n, err
}

// setter parses a text and calls store with a good number.
func setter(store func(n int64)) func(text string) error {
	return func(text string) error {
		n, err := bounded(text)
		if err == nil {
			store(n)
		}
		return err
	}
}

func atomicTunable() tunable {
	var n atomic.Int64
	return tunable{"atomic.Int64", n.Load, setter(n.Store)}
}

func expvarTunable() tunable {
	var n expvar.Int
	return tunable{"expvar.Int", n.Value, setter(n.Set)}
}

// flagTunable has an atomic below its flag, because the program sets it while it runs.
func flagTunable() tunable {
	var n atomic.Int64
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("limit", "a number from 1 to 100", setter(n.Store))
	return tunable{"flag", n.Load, func(text string) error { return flags.Set("limit", text) }}
}

func mapTunable() tunable {
	var mu sync.Mutex
	settings := map[string]int64{}
	load := func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return settings["limit"]
	}
	store := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		settings["limit"] = n
	}
	return tunable{"mutex+map", load, setter(store)}
}

func sysctlTunable() tunable {
	limit := sysctl.NewVar[int64](1, sysctl.Between[int64](1, highest))
	tree := new(sysctl.Tree)
	if _, err := tree.Register("peers", sysctl.Entry{Name: "limit", Mode: 0o644, Handler: limit}); err != nil {
		panic(err)
	}
	return tunable{"sysctl.Var", limit.Load, func(text string) error {
		return tree.WriteFile(sysctl.Root, "peers/limit", []byte(text))
	}}
}

// tunableLoad reads the number. The result is the sum of the values.
func tunableLoad() job {
	j := job{name: "TunableLoad", want: timesOf(42)}
	for _, v := range tunables() {
		j.ways = append(j.ways, way{v.name, func(n int) (sum int) {
			_ = v.set("42")
			for range n {
				sum += int(v.load())
			}
			return sum
		}})
	}
	return j
}

// tunableSet changes the number by a text. The result is the last number.
func tunableSet() job {
	texts := make([]string, highest)
	for i := range texts {
		texts[i] = strconv.Itoa(i + 1)
	}
	j := job{name: "TunableSet", want: func(n int) int { return (n-1)%highest + 1 }}
	for _, v := range tunables() {
		j.ways = append(j.ways, way{v.name, func(n int) int {
			for i := range n {
				_ = v.set(texts[i%highest])
			}
			return int(v.load())
		}})
	}
	return j
}

func TestTunablesRefuseTextsOutOfBounds(t *testing.T) {
	for _, v := range tunables() {
		t.Run(v.name, func(t *testing.T) {
			require.NoError(t, v.set("100"))
			for _, text := range []string{"0", "101", "ten"} {
				require.Error(t, v.set(text), text)
				require.EqualValues(t, 100, v.load(), text)
			}
		})
	}
}
