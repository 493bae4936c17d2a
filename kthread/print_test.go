package kthread_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// printed returns v as fmt and slog print it.
func printed(t *testing.T, v any) (texts []string) {
	verbs := []string{"%v", "%+v", "%s"}
	if _, ok := v.(fmt.Stringer); ok && reflect.TypeOf(v).Kind() == reflect.Pointer {
		verbs = append(verbs, "%#v", "%d", "%x") // else they print fields
	}
	for _, verb := range verbs {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "value", v)
	_, value, found := strings.Cut(text.String(), "value=")
	require.True(t, found)
	return append(texts, strings.Trim(value, "\"\n"), inJSON(t, v))
}

// inJSON returns v as slog's JSON handler prints it, without quotes.
func inJSON(t *testing.T, v any) string {
	var text bytes.Buffer
	slog.New(slog.NewJSONHandler(&text, nil)).Info("m", "value", v)
	var line struct{ Value json.RawMessage }
	require.NoError(t, json.Unmarshal(text.Bytes(), &line))
	return strings.Trim(string(line.Value), `"`)
}

// Values print as words, also while the thread runs: run this with -race.
func TestValuesPrintAsWords(t *testing.T) {
	self := make(chan *kthread.Current, 1)
	thread := kthread.Run("busy", func(cur *kthread.Current) error {
		self <- cur
		_ = cur.Allow(usr1)
		for !cur.ShouldStop() {
			_ = cur.Sleep(time.Microsecond)
			_ = cur.Context()
			cur.Flush()
		}
		return nil
	})
	worker := kthread.RunWorker("busy too")
	var again kthread.DelayedWork
	again.Func = func() { worker.EnqueueAfter(&again, time.Microsecond) }
	worker.EnqueueAfter(&again, 0)
	var work kthread.Work
	work.Func = func() {}
	worker.Enqueue(&work)

	pid, wpid := thread.Info().Pid, worker.Thread().Info().Pid
	for _, c := range []struct {
		value any
		text  string
	}{
		{thread, fmt.Sprintf("thread %d [busy]", pid)},
		{<-self, fmt.Sprintf("thread %d [busy]", pid)},
		{worker, fmt.Sprintf("worker %d [busy too]", wpid)},
		{&work, fmt.Sprintf("work of worker %d [busy too]", wpid)},
		{&again, fmt.Sprintf("delayed work of worker %d [busy too]", wpid)},
		{new(kthread.Work), "work of no worker"},
		{new(kthread.Worker), "worker without a thread"},
		{new(kthread.DelayedWork), "delayed work of no worker"},
		{new(kthread.Thread), "no thread"},
		{new(kthread.Current), "no thread"},
		{waitqueue.Interruptible, "S"},
		{kthread.ErrStopped, "kthread: asked to stop"},
	} {
		for range 20 {
			_ = thread.Signal(usr1)
			for _, got := range printed(t, c.value) {
				require.Equal(t, c.text, got)
			}
		}
	}
	require.Equal(t, fmt.Sprintf("  %q", thread.String()), fmt.Sprintf("%*q", len(thread.String())+4, thread), "with its flags and width")
	require.NoError(t, thread.Stop())
	_, err := again.CancelSync(t.Context())
	require.NoError(t, err)
	require.NoError(t, worker.Thread().Stop())

	var none *kthread.Thread // as Start returns it with an error
	for _, got := range printed(t, none) {
		require.Contains(t, []string{"<nil>", "null"}, got)
	}
}

// An Info is a line of words, and in JSON an object whose state is a word.
func TestInfoPrintsAsALine(t *testing.T) {
	info := kthread.Info{Pid: 7, State: waitqueue.Interruptible, Wchan: "mail", Age: time.Minute, WakeUps: 3, Name: "reader"}
	for _, got := range printed(t, info)[:4] {
		require.Equal(t, "thread 7 [reader]: state S, wchan mail, age 1m0s, 3 wake-ups", got)
	}
	require.Equal(t, `{"Pid":7,"State":"S","Wchan":"mail","Age":60000000000,"WakeUps":3,"Name":"reader"}`, inJSON(t, info))
	require.Equal(t, "["+inJSON(t, info)+"]", inJSON(t, kthread.Infos{info}))
	var back kthread.Infos
	require.NoError(t, json.Unmarshal([]byte("["+inJSON(t, info)+"]"), &back))
	require.Equal(t, kthread.Infos{info}, back)
}
