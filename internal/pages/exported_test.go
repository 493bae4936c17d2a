package pages_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/kerneltable"
)

// TestExportedNames prints how many names each package exports. It asks for a user of each
// name: another package, a program, an Example or a page that mentions the name. A name
// without a user is unexported, or has a reason in the list kept.
//
//	go test ./internal/pages -run ExportedNames -v
func TestExportedNames(t *testing.T) {
	places := mentions(t)
	all := map[string]bool{}
	fmt.Fprintf(t.Output(), "%-28s %9s %9s %9s\n", "package", "names", "members", "Kernel:")
	for _, dir := range slices.Sorted(maps.Keys(importable(t))) {
		if strings.HasPrefix(dir, "examples/") {
			continue // promises nothing
		}
		comments, err := kerneltable.Comments(os.DirFS("../../" + dir))
		require.NoError(t, err)
		names, members, kernel := 0, 0, 0
		for name, comment := range comments {
			parts := strings.Split(name, ".")
			switch len(parts) {
			case 1: // the comment of the package
				continue
			case 2:
				names++
			default:
				members++
			}
			if strings.Contains(comment, "\nKernel: ") || strings.HasPrefix(comment, "Kernel: ") {
				kernel++
			}
			last, name := parts[len(parts)-1], dir+": "+strings.Join(parts[1:], ".")
			all[name] = true
			if !places.mention(dir, last) && !implements[last] && kept[name] == "" {
				t.Errorf("%s has no user: unexport it, show it in an Example, or say in kept why it stays", name)
			}
		}
		fmt.Fprintf(t.Output(), "%-28s %9d %9d %9d\n", dir, names, members, kernel)
	}
	for name := range kept {
		require.True(t, all[name], "kept has a name that is not exported: %s", name)
	}
}

// kept has reasons for exported names that may be without a user.
var kept = map[string]string{
	"kthread/kthreadhttp: Handler.Recorder":  "without it the page has no picture of the last moments",
	"kthread/printk: Emerg":                  "the kernel has eight levels, and a table with holes is worse",
	"kthread/printk: Alert":                  "as Emerg",
	"kthread/printk: Crit":                   "as Emerg",
	"kthread/printk: Warning":                "as Emerg",
	"kthread/printk: Notice":                 "as Emerg",
	"kthread/printk: Message":                "the result of Reader.Next",
	"kthread/printk: Reader.TryNext":         "a read with O_NONBLOCK, which Next cannot be",
	"kthread/trace: FlightRecorder.MaxBytes": "the only bound on the memory of a recorder",
	"kthread/trace: TaskStat":                "the result of Tasks",
	"rwevent: Event.Gen":                     "the argument of the next Wait",
	"sysctl: Settings.Partial":               "without it only Tree.Load could go on after a fault, as sysctl(8) does",
	"sysctl: Strict":                         "the zero WriteMode, and the argument for a way back to it",
	"sysctl/sysctlhttp: Handler.CrossOrigin": "the only way to let a page of another origin write",
	"usermodehelper: Result.Reaped":          "says whether the status is valid",
	"usermodehelper: Result.MaxRSS":          "in bytes on each system, where SysUsage has two units",
	"usermodehelper: Result.SysUsage":        "has page faults and context switches, as os.ProcessState has them",
	"usermodehelper: User.Groups":            "without it a helper could not have a group of a device",
	"waitqueue/explore: Result.Bad":          "a number of a search that a program runs",
	"waitqueue/explore: Result.LeftOut":      "as Result.Bad",
	"waitqueue/explore: Result.Simplest":     "the order that a program shows or replays",
	"waitqueue/explore: Standing.Ended":      "tells a goroutine at its end from one that sleeps",
}

// implements has the methods by which a package of the standard library finds a type.
var implements = map[string]bool{
	"String": true, "Format": true, "Error": true, "Unwrap": true, // fmt, errors
	"MarshalText": true, "UnmarshalText": true, "MarshalJSON": true, "IsBoolFlag": true, // encoding, json, flag
	"LogValue": true, "Enabled": true, "Handle": true, "WithAttrs": true, "WithGroup": true, // log/slog
	"ServeHTTP": true, // net/http
}

// A place is a directory, with the names that are mentioned there.
type place struct {
	dir   string
	names map[string]bool
}

type places []place

// mention reports whether a name of the package in dir is mentioned: in another directory, in
// an Example, or on a page.
func (p places) mention(dir, name string) bool {
	return slices.ContainsFunc(p, func(p place) bool { return p.dir != dir && p.names[name] })
}

// mentions reads the repository. Examples and pages get no directory, because they also count
// for the package beside them. Tests do not count, nor does the CHANGELOG.
func mentions(t *testing.T) (all places) {
	t.Helper()
	word := regexp.MustCompile(`\w+`)
	add := func(dir, text string, pattern *regexp.Regexp) {
		names := map[string]bool{}
		for _, m := range pattern.FindAllString(text, -1) {
			names[strings.Trim(m, ".:")] = true
		}
		all = append(all, place{dir, names})
	}
	goFiles(t, func(name string) {
		name = strings.TrimPrefix(name, "../../")
		dir := filepath.ToSlash(filepath.Dir(name))
		switch base := filepath.Base(name); {
		case strings.HasPrefix(base, "example"):
			dir = ""
		case strings.HasSuffix(base, "_test.go"):
			return
		}
		add(dir, uncommented(text(t, name)), regexp.MustCompile(`\.\w+|\b\w+:`))
	})
	require.NoError(t, filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".md" && d.Name() != "CHANGELOG.md" {
			add("", text(t, strings.TrimPrefix(filepath.ToSlash(name), "../../")), word)
		}
		return err
	}))
	return all
}

// uncommented returns the code of a Go file.
func uncommented(code string) string {
	return regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAllString(code, "")
}
