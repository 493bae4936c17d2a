package printk_test

import (
	"io"
	"log/slog"
	"testing"

	"github.com/kprim/kprim/kthread/printk"
)

// BenchmarkLog compares the handler with the TextHandler of package slog.
func BenchmarkLog(b *testing.B) {
	for name, h := range map[string]slog.Handler{
		"ring":             &printk.Log{},
		"ring and console": &printk.Log{Console: io.Discard},
		"TextHandler":      slog.NewTextHandler(io.Discard, nil),
	} {
		b.Run(name, func(b *testing.B) {
			log := slog.New(h)
			b.ReportAllocs()
			for b.Loop() {
				log.Info("the disk is full", "disk", "sda1", "block", 9527)
			}
		})
	}
}
