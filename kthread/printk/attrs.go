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
	attrs  string   // of WithAttrs, as a text has them
	groups []string // of WithGroup, for the attributes to come
}

// Handle logs a record with the attributes of the handler and its own.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	return h.handle(ctx, r, h.attrs, h.groups)
}

// WithAttrs formats the attributes at once, as a TextHandler does. So the caller may change
// their values later, and each of them is formatted once.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Log, h.attrs + format(attrs, h.groups), h.groups}
}

// WithGroup leaves h as it is: two handlers that are made from h do not share an array.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h // a rule of slog.Handler
	}
	return &handler{h.Log, h.attrs, append(slices.Clip(h.groups), name)}
}

// text returns the message of a record, with attributes and its own ones behind it.
func text(r slog.Record, attrs string, groups []string) string {
	message := strings.TrimSuffix(r.Message, "\n")
	own := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		own = append(own, a)
		return true
	})
	if text := attrs + format(own, groups); text != "" {
		return message + text
	}
	return strings.Clone(message) // it may be a small part of a large text
}

// builtin is how a TextHandler begins a record of the level 0 without a time and a message.
const builtin = `level=INFO msg=""`

// format returns the attributes, with a space before each one. A TextHandler of package slog
// formats them, so groups, quotes and values are as everywhere else.
func format(attrs []slog.Attr, groups []string) string {
	if len(attrs) == 0 {
		return ""
	}
	var out strings.Builder
	var h slog.Handler = slog.NewTextHandler(&out, nil)
	for _, name := range groups {
		h = h.WithGroup(name)
	}
	var r slog.Record
	r.AddAttrs(attrs...)
	_ = h.Handle(context.Background(), r) // a Builder has no error
	return strings.TrimSuffix(strings.TrimPrefix(out.String(), builtin), "\n")
}
