package printk

import (
	"context"
	"log/slog"
	"slices"
	"strings"
)

// A handler is a log with attributes and groups of its own.
type handler struct {
	*Log
	steps []step
}

// A step is a call of WithAttrs or WithGroup that led to a handler.
type step func(slog.Handler) slog.Handler

func (h handler) Handle(ctx context.Context, r slog.Record) error { return h.handle(ctx, r, h.steps) }

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

func (h handler) WithGroup(name string) slog.Handler {
	return h.with(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

// with leaves h as it is: two handlers that are made from h do not share an array.
func (h handler) with(s step) handler { return handler{h.Log, append(slices.Clip(h.steps), s)} }

// builtin is how a TextHandler begins a record of the level 0 without a time and a message.
const builtin = `level=INFO msg=""`

// text returns the message of a record with the attributes behind it. A TextHandler of
// package slog formats the attributes, so groups, quotes and values are as everywhere else.
func text(ctx context.Context, r slog.Record, steps []step) string {
	message := strings.TrimSuffix(r.Message, "\n")
	if len(steps) == 0 && r.NumAttrs() == 0 {
		return message
	}
	var out strings.Builder
	var h slog.Handler = slog.NewTextHandler(&out, nil)
	for _, s := range steps {
		h = s(h)
	}
	attrs := slog.Record{}
	r.Attrs(func(a slog.Attr) bool {
		attrs.AddAttrs(a)
		return true
	})
	_ = h.Handle(ctx, attrs) // a Builder has no error
	return message + strings.TrimSuffix(strings.TrimPrefix(out.String(), builtin), "\n")
}
