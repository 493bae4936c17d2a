// Tunables is a web server whose settings are a tree of package sysctl: limits, durations,
// a list, a size, a flag, a text, a secret and the level of the log. The settings come from
// files and flags. An operator changes them by HTTP. The server logs each change, and saves
// the settings at its end. The program visits the server itself, and shows all that happens.
package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/kprim/kprim/examples/internal/clients"
)

func main() {
	if err := clients.Session(os.Stdout, start); err != nil {
		fmt.Fprintln(os.Stderr, "tunables:", err)
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
