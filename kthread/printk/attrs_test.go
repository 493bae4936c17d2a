package printk_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread/printk"
)

func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	for name, made := range map[string]func(slog.Handler) slog.Handler{
		"Log":           func(h slog.Handler) slog.Handler { return h },
		"no attributes": func(h slog.Handler) slog.Handler { return h.WithAttrs(nil) },
		"no group":      func(h slog.Handler) slog.Handler { return h.WithGroup("") },
		"neither":       func(h slog.Handler) slog.Handler { return h.WithAttrs(nil).WithGroup("") },
	} {
		t.Run(name, func(t *testing.T) {
			var log *printk.Log
			slogtest.Run(t, func(*testing.T) slog.Handler {
				log = &printk.Log{}
				return made(log)
			}, func(t *testing.T) map[string]any {
				m, _, ok := log.Reader().TryNext()
				require.True(t, ok)
				return parsed(t, m)
			})
		})
	}
}

// A rule of slog.Handler: without a name, WithGroup returns the receiver.
func TestGroupWithoutAName(t *testing.T) {
	var h slog.Handler = &printk.Log{}
	require.Same(t, h, h.WithGroup(""))
	h = h.WithAttrs([]slog.Attr{slog.Int("a", 1)})
	require.Same(t, h, h.WithGroup(""))
}

// parsed returns a message as package slogtest wants it.
func parsed(t *testing.T, m printk.Message) map[string]any {
	words := strings.Fields(m.Text)
	root := map[string]any{slog.MessageKey: words[0], slog.LevelKey: m.Level}
	if !m.Time.IsZero() {
		root[slog.TimeKey] = m.Time
	}
	for _, word := range words[1:] {
		name, value, found := strings.Cut(word, "=")
		require.True(t, found, m.Text)
		groups := strings.Split(name, ".")
		in := root
		for _, g := range groups[:len(groups)-1] {
			if in[g] == nil {
				in[g] = map[string]any{}
			}
			in = in[g].(map[string]any)
		}
		in[groups[len(groups)-1]] = value
	}
	return root
}

// A TextHandler shows the same attributes.
func TestAttributesAreThoseOfATextHandler(t *testing.T) {
	for i, log := range []func(*slog.Logger){
		func(l *slog.Logger) { l.Info("m") },
		func(l *slog.Logger) { l.Info("m", "a", "two words", "b", `"`, "c", "", "d", "x\ny") },
		func(l *slog.Logger) { l.Info("m", "level", 1, "msg", 2, "time", 3, "error", fmt.Errorf("bad")) },
		func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").Info("m", "c", 3) },
		func(l *slog.Logger) { l.WithGroup("empty").Info("m") },
		func(l *slog.Logger) { l.WithGroup("g").With("a", 1, "b", slog.GroupValue()).WithGroup("h").Info("m") },
		func(l *slog.Logger) { l.WithGroup("two words\n").With("\xff", "\u202e").Info("m", "k\ne", "\x1b[0m") },
		func(l *slog.Logger) { l.With("a", endless{}).Info("m", slog.Attr{}, slog.Group("", "b", panics{})) },
		func(l *slog.Logger) { l.Info("m", slog.Group("g", "a", time.Second, "b", 1.5), "nil", nil) },
		func(l *slog.Logger) { l.Info("m", "p", (*bytes.Buffer)(nil), "s", struct{ A int }{1}) },
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			var out strings.Builder
			log(slog.New(slog.NewTextHandler(&out, nil)))
			_, want, found := strings.Cut(out.String(), "msg=")
			require.True(t, found)
			var ours printk.Log
			log(slog.New(&ours))
			m, _, _ := ours.Reader().TryNext()
			require.Equal(t, want, m.Text+"\n")
		})
	}
}

// An endless value has no end of values behind it.
type endless struct{}

func (e endless) LogValue() slog.Value { return slog.AnyValue(e) }

type panics struct{}

func (panics) MarshalText() ([]byte, error) { panic("no text") }

// A value that changes later is logged as it was when With had it. Read at each message, it
// would be a data race.
func TestWithFormatsItsAttributesAtOnce(t *testing.T) {
	var log printk.Log
	state := bytes.NewBufferString("clean")
	program := slog.New(&log).With("state", state).WithGroup("disk").With("was", state)
	state.WriteString(", no, dirty")
	program.Info("m", "is", state)
	require.Regexp(t, `m state=clean disk.was=clean disk.is="clean, no, dirty"\n$`, dmesg(t, &log))
}

func TestTwoHandlersOfOneDoNotMix(t *testing.T) {
	var log printk.Log
	parent := slog.New(&log).With("a", 1).With("b", 2).With("c", 3)
	first, second := parent.With("d", 4), parent.With("e", 5)
	first.Info("m")
	second.Info("m")
	require.Regexp(t, `m a=1 b=2 c=3 d=4\n.*m a=1 b=2 c=3 e=5\n$`, dmesg(t, &log))

	parent = slog.New(&log).WithGroup("a").WithGroup("b").WithGroup("c")
	first, second = parent.WithGroup("d"), parent.WithGroup("e")
	first.Info("m", "n", 1)
	second.Info("m", "n", 1)
	require.Regexp(t, `m a.b.c.d.n=1\n.*m a.b.c.e.n=1\n$`, dmesg(t, &log))
}
