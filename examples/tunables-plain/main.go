// Tunables-plain does the same as tunables, with the standard library alone. It prints the
// same lines.
package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/kprim/kprim/examples/internal/clients"
)

func main() {
	if err := clients.Session(os.Stdout, start); err != nil {
		fmt.Fprintln(os.Stderr, "tunables-plain:", err)
		os.Exit(1)
	}
}

// withoutTime makes the lines of the log the same each time.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
