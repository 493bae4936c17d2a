//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// wrongs is all that is wrong with a call, by rules that are written down here
// once more, byte by byte, so that they are not the code's own.
func wrongs(path string, argv, envp []string, mode int) []string {
	var found []string
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	nul := func(s string) bool { return strings.IndexByte(s, 0) >= 0 }
	if mode != 0 && mode != 1 && mode != 2 {
		wrong("Mode(%d) is not a mode", mode)
	}
	switch {
	case path == "":
		wrong("the path is empty")
	case path[0] != '/':
		wrong("the path is not absolute")
	}
	if nul(path) {
		wrong("the path has a NUL byte")
	}
	if argv != nil && len(argv) == 0 {
		wrong("argv is empty")
	}
	for i, arg := range argv {
		if nul(arg) {
			wrong("argv[%d] has a NUL byte", i)
		}
	}
	for i, env := range envp {
		if nul(env) {
			wrong("envp[%d] has a NUL byte", i)
		}
		at := strings.IndexByte(env, '=')
		if at <= 0 {
			wrong("envp[%d] is not of the form NAME=VALUE", i)
			continue
		}
		for _, earlier := range envp[:i] {
			if strings.HasPrefix(earlier, env[:at+1]) {
				wrong("envp[%d] sets %s a second time", i, env[:at])
				break
			}
		}
	}
	return found
}

// list is a slice of strings in one: each has a \x1f before it. What has none
// is an empty slice, and "" is nil.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x1f")[1:]
}

// FuzzExec starts no process: Init refuses each. So whether Init was called
// says whether a process would have been started.
func FuzzExec(f *testing.F) {
	for mode := -1; mode <= 3; mode++ {
		for _, path := range []string{"/bin/true", "", "bin/true", "true", "./true", "/", "//", "/a\x00b", "/\xff", "/a b\n=%s"} {
			f.Add(path, "", "\x1fA=1", mode)
		}
		for _, argv := range []string{"none", "\x1f", "\x1fa\x1f\x1fb", "\x1fa\x00", "\x1fa\x1f\x00", "\x1f\xff=\n"} {
			f.Add("/bin/true", argv, "", mode)
		}
		for _, envp := range []string{"none", "\x1f", "\x1fA", "\x1f=", "\x1f=A", "\x1fA=", "\x1fA==", "\x1fA=1\x1fA=1", "\x1fA=1\x1fAB=1",
			"\x1fAB=1\x1fA=1", "\x1fA==1\x1fA=", "\x1fA=\x00", "\x1fA\x00=1", "\x1fA=1\x1fB\x1fA=2", "\x1f\xff=\n\x1f\xfe=", "\x1f%s=1\x1f%s=2", "\x1f =1",
			"\x1fA=1\x1f A=1\x1fa=1"} {
			f.Add("/bin/true", "\x1fargv0", envp, mode)
		}
	}
	f.Fuzz(func(t *testing.T, path, argvList, envpList string, mode int) {
		argv, envp := list(argvList), list(envpList)
		argvBefore, envpBefore := slices.Clone(argv), slices.Clone(envp)
		sentinel := errors.New("Init refuses")
		type end struct {
			status usermodehelper.Status
			err    error
		}
		inits, cleanups := 0, make(chan end, 2)
		h := usermodehelper.Helper{
			Path: path, Argv: argv, Envp: envp,
			Init: func(attr *os.ProcAttr) error {
				inits++
				require.Equal(t, envpBefore, attr.Env)
				require.Len(t, attr.Files, 3)
				require.NotNil(t, attr.Sys)
				return sentinel
			},
			Cleanup: func(s usermodehelper.Status, err error) { cleanups <- end{s, err} },
		}
		status, err := h.Exec(context.Background(), usermodehelper.Mode(mode))
		require.Zero(t, status)
		wrong := wrongs(path, argv, envp, mode)
		if len(wrong) == 0 && mode == int(usermodehelper.NoWait) {
			require.NoError(t, err)
		} else {
			require.Len(t, cleanups, 1, "before Exec returns")
		}
		got := <-cleanups // which comes after Init, so that inits may be read
		require.Empty(t, cleanups)
		if len(wrong) == 0 {
			require.Equal(t, 1, inits)
			require.Equal(t, end{0, sentinel}, got)
			require.True(t, mode == int(usermodehelper.NoWait) || err == sentinel, "%v", err)
		} else {
			require.Zero(t, inits)
			require.Equal(t, end{0, err}, got)
			require.ErrorIs(t, err, syscall.EINVAL)
			said := func(what string) bool {
				return err.Error() == fmt.Sprintf("usermodehelper: %q: %s: %v", path, what, syscall.EINVAL)
			}
			require.True(t, slices.ContainsFunc(wrong, said), "%v\nand the truth is %q", err, wrong)
		}
		require.Equal(t, argvBefore, argv)
		require.Equal(t, envpBefore, envp)
	})
}

// The system says so, not this package, and nothing was started.
func TestWhatIsLongerThanTheSystemTakes(t *testing.T) {
	const huge = 8 << 20
	many := func(format string) []string {
		var all []string
		for i := range 100 {
			all = append(all, fmt.Sprintf(format, i)+strings.Repeat("x", 100_000))
		}
		return all
	}
	cases := map[string]struct{ argv, envp []string }{
		"one string in envp": {nil, []string{"A=" + strings.Repeat("x", huge)}},
		"envp in total":      {nil, many("A%d=")},
		"one string in argv": {[]string{"sh", "-c", ":", strings.Repeat("x", huge)}, nil},
		"argv in total":      {many("%d"), nil},
	}
	if runtime.GOOS == "linux" { // has a limit for one string too: 32 pages, with the NUL byte at the end
		limit := 32 * os.Getpagesize()
		cases["just too long in envp"] = struct{ argv, envp []string }{nil, []string{"A=" + strings.Repeat("x", limit-2)}}
		cases["just too long in argv"] = struct{ argv, envp []string }{[]string{"sh", strings.Repeat("x", limit)}, nil}
		status, err := usermodehelper.Call(t.Context(), "/bin/sh", []string{"sh", "-c", ":", strings.Repeat("x", limit-1)},
			[]string{"A=" + strings.Repeat("x", limit-3)}, usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Zero(t, status)
	}
	mark := filepath.Join(t.TempDir(), "it ran")
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n> '"+mark+"'\n"), 0o755))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, mode := range allModes {
				ends := make(chan error, 2)
				h := usermodehelper.Helper{Path: program, Argv: c.argv, Envp: c.envp,
					Cleanup: func(_ usermodehelper.Status, err error) { ends <- err }}
				_, err := h.Exec(t.Context(), mode)
				if mode == usermodehelper.NoWait {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, syscall.E2BIG, mode)
					require.Len(t, ends, 1)
				}
				require.ErrorIs(t, <-ends, syscall.E2BIG, mode)
				require.Empty(t, ends)
				require.NoFileExists(t, mark)
			}
		})
	}
	_, err := usermodehelper.Call(t.Context(), program, nil, nil, usermodehelper.WaitProc)
	require.NoError(t, err)
	require.FileExists(t, mark, "or the test shows nothing")
}

func TestOddStringsArriveAsTheyAre(t *testing.T) {
	get := func(path string, argv, envp []string) []string {
		out := usermodehelper.Output{}
		h := usermodehelper.Helper{Path: path, Argv: argv, Envp: envp, Output: &out}
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Zero(t, status, "%s", &out)
		return strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
	}
	envp := []string{"A=", "B==", "C==C=", "D=two\nlines\n", "E=\xff\xfe\xc3", "\xff\n =odd name", "lower=", "F= ", "G=$A`x`\"'\\*"}
	got := get("/usr/bin/env", []string{"env", "-0"}, envp)
	slices.Sort(got)
	slices.Sort(envp)
	require.Equal(t, envp, got)

	argv := []string{"", "", "two\nlines", "\xff\xfe", "$HOME", " ", "*", "-x", "`x`\"'\\", ""}
	script := []string{"sh", "-c", `for a; do printf '%s\0' "$a"; done`, "sh"}
	require.Equal(t, argv, get("/bin/sh", append(script, argv...), nil))

	script = []string{"", "-c", `printf '%s\0' "$0" "$#"`} // an empty argv[0]; the shell's $0 is of its own making
	require.Equal(t, "0", get("/bin/sh", script, nil)[1])
}
