package sysctl_test

import (
	"bytes"
	"context"
	"errors"
	"expvar"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/readmes"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/sysctlexpvar"
	"github.com/kprim/kprim/sysctl/sysctlhttp"
)

// Each line of the README's table is run here, and does as the table says.

func TestWantedNumbersAndTexts(t *testing.T) {
	rate := sysctl.NewVar(1.5, sysctl.Between(0.0, 10))
	require.Error(t, rate.Set("10.1"))
	require.NoError(t, rate.Set("2.5"))
	require.Equal(t, 2.5, rate.Load())

	var size sysctl.Var[sysctl.Bytes]
	require.NoError(t, size.Set("64K"))
	require.Equal(t, sysctl.Bytes(64<<10), size.Load())

	mode := sysctl.NewVar("fast", sysctl.OneOf("fast", "safe"))
	require.Error(t, mode.Set("slow"))
	require.NoError(t, mode.Set("safe"))

	name := sysctl.NewVar("eth0", sysctl.MaxLen(15), sysctl.Matches("[a-z]+[0-9]*"))
	require.Error(t, name.Set("eth-0"))
	require.Error(t, name.Set("a23456789012345x"))
	require.NoError(t, name.Set("wlan0"))
}

func TestWantedTypes(t *testing.T) {
	var limits sysctl.Var[struct{ Rate, Burst int }]
	require.NoError(t, limits.Set(`{"Rate": 5, "Burst": 10}`))
	require.Equal(t, 5, limits.Load().Rate)

	parse := func(text string) (time.Time, error) { return time.Parse(time.DateOnly, text) }
	format := func(when time.Time) string { return when.Format(time.DateOnly) }
	when := sysctl.Var[time.Time]{Parse: parse, Format: format}
	require.NoError(t, when.Set("2026-11-29"))
	require.Equal(t, 333, when.Load().YearDay())

	begin := time.Now()
	uptime := sysctl.Func(func() string { return time.Since(begin).String() })
	_, err := time.ParseDuration(strings.TrimSpace(shown(t, putAs(t, 0o444, uptime))))
	require.NoError(t, err)
}

func TestWantedChanges(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	rate := sysctl.NewVar(1.5)
	rate.Check = func(old, new float64) error {
		if new < old {
			return errors.New("it only grows")
		}
		return nil
	}
	rate.Changed = func(c sysctl.Change[float64]) { log.Info("changed", "change", c) }
	var tree sysctl.Tree
	_, err := tree.Register("http", sysctl.Entry{Name: "rate", Mode: 0o644, Handler: rate})
	require.NoError(t, err)
	require.NoError(t, tree.WriteFrom("alice", sysctl.Root, "http/rate", []byte("2.5")))
	require.Regexp(t, `msg=changed change.path=http/rate change.old=1.5 change.new=2.5 .*change.source=alice`, out.String())
	require.ErrorContains(t, tree.WriteFrom("alice", sysctl.Root, "http/rate", []byte("1")), "it only grows")
}

func TestWantedLoopOverChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var tree sysctl.Tree
		_, err := tree.Register("http", sysctl.Entry{Name: "rate", Mode: 0o644, Handler: sysctl.NewVar(1)})
		require.NoError(t, err)
		got := ""
		go func() {
			for path, text := range tree.Changes(ctx, "http") {
				got += path + ": " + text
			}
		}()
		synctest.Wait() // it waits for a change
		require.NoError(t, tree.WriteFile(sysctl.Root, "http/rate", []byte("200")))
		synctest.Wait()
		require.Equal(t, "http/rate: 200\n", got)
		cancel()
	})
}

func TestWantedFiles(t *testing.T) {
	rate := sysctl.NewVar(100)
	tree := put(t, rate)
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.Var(rate, "rate", "requests a second")
	require.NoError(t, flags.Parse([]string{"-rate", "5"}))

	etc := fstest.MapFS{"myapp.d/10.conf": {Data: []byte("# a comment\nx = 7\n")}}
	var settings sysctl.Settings
	settings.Dirs(etc, "myapp.d")
	err := settings.Apply(tree, sysctl.Root)
	require.NoError(t, err)
	require.Equal(t, 7, rate.Load())
	source := tree.Source("x")
	require.Equal(t, "myapp.d/10.conf:2", source)

	var file bytes.Buffer
	err = tree.Save(sysctl.Root, &file)
	require.NoError(t, err)
	require.Equal(t, "x = 7\n", file.String())
}

func TestWantedSurroundings(t *testing.T) {
	tree := put(t, sysctl.NewVar(100))
	caller := func(*http.Request) (string, sysctl.Cred, error) { return "alice", sysctl.Root, nil }
	mux := http.NewServeMux()
	mux.Handle("/admin/", http.StripPrefix("/admin", &sysctlhttp.Handler{Tree: tree, Caller: caller}))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("PUT", "/admin/x", strings.NewReader("50")))
	require.Equal(t, http.StatusNoContent, w.Code)

	if expvar.Get("tunables") == nil { // or the test runs again, as with -count 2
		expvar.Publish("tunables", sysctlexpvar.Func(tree, sysctl.Nobody))
	}
	require.Equal(t, `{"x":50}`, expvar.Get("tunables").String())
}

func TestWantedLinesAreRun(t *testing.T) {
	rows, faults := readmes.Wanted(os.DirFS("."), "want_test.go")
	require.Empty(t, faults)
	require.LessOrEqual(t, rows, 16)
}
