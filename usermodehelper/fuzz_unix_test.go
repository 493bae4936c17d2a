//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"cmp"
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

// wrongs returns all faults of a call. Its rules are written down here once more, byte by
// byte, so that they are not the code's own.
func wrongs(h *usermodehelper.Helper, mode int) []string {
	path, argv, envp := h.Path, h.Argv, h.Envp
	found := wrongFields(h)
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

// wrongFields is all that is wrong with the fields that are not the kernel's.
func wrongFields(h *usermodehelper.Helper) (found []string) {
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for i, name := range h.Inherit {
		if len(name) == 0 || strings.IndexByte(name, '=') >= 0 || strings.IndexByte(name, 0) >= 0 {
			wrong("Inherit[%d] is %q, which is no name of a variable", i, name)
		}
	}
	if h.Dir != "" && h.Dir[0] != '/' {
		wrong("Dir %q is not absolute", h.Dir)
	}
	if strings.IndexByte(h.Dir, 0) >= 0 {
		wrong("Dir has a NUL byte")
	}
	if last := map[string]int{"linux": 64, "darwin": 31, "freebsd": 126}[runtime.GOOS]; h.Stop < 0 || int(h.Stop) > last {
		wrong("Stop is %d, which is no signal", int(h.Stop))
	}
	if h.Nice > 39 || h.Nice < -39 {
		wrong("Nice is %d, which is more than 39 steps", h.Nice)
	}
	for i, l := range h.Limits {
		if l.Hard < l.Soft {
			wrong("Limits[%d] has a Soft above its Hard", i)
		}
		for _, earlier := range h.Limits[:i] {
			if earlier.Resource == l.Resource {
				wrong("Limits[%d] sets resource %d a second time", i, l.Resource)
				break
			}
		}
	}
	if h.Input != nil && h.InputFrom != nil {
		wrong("both Input and InputFrom are set")
	}
	if f, ok := h.InputFrom.(*os.File); ok && f == nil {
		wrong("InputFrom is a nil file")
	}
	return found
}

// fields sets the fields that are not the kernel's. Each limit is three bytes, and each bit of
// input is a way to give one.
func fields(h *usermodehelper.Helper, inherit, dir string, stop, nice int, limits []byte, input byte) {
	h.Inherit, h.Dir, h.Stop = list(inherit), dir, syscall.Signal(stop)
	if runtime.GOOS == "linux" {
		h.Nice = nice
		for l := range slices.Chunk(limits[:len(limits)/3*3], 3) {
			h.Limits = append(h.Limits, usermodehelper.Limit{Resource: int(l[0]), Soft: uint64(l[1]), Hard: uint64(l[2])})
		}
	}
	if input&1 != 0 {
		h.Input = []byte{}
	}
	if input&2 != 0 {
		h.InputFrom = strings.NewReader("")
	}
	if input&4 != 0 {
		h.InputFrom = (*os.File)(nil)
	}
	if input&8 != 0 {
		h.User = &usermodehelper.User{Uid: uint32(stop), Gid: uint32(nice)}
	}
}

// requireFields compares the attributes of a helper with its fields.
func requireFields(t *testing.T, h *usermodehelper.Helper, attr *os.ProcAttr) {
	env := slices.Clone(h.Envp)
	for _, name := range h.Inherit {
		isIt := func(e string) bool { return strings.HasPrefix(e, name+"=") }
		if i := slices.IndexFunc(os.Environ(), isIt); i >= 0 && !slices.ContainsFunc(env, isIt) {
			env = append(env, os.Environ()[i])
		}
	}
	require.Equal(t, env, attr.Env)
	require.Equal(t, cmp.Or(h.Dir, "/"), attr.Dir)
	require.Len(t, attr.Files, 3)
	require.Equal(t, h.Input == nil && h.InputFrom == nil, attr.Files[0] == attr.Files[1])
	require.NotNil(t, attr.Sys)
	require.False(t, attr.Sys.Ptrace)
	if user := attr.Sys.Credential; h.User == nil {
		require.Nil(t, user)
	} else {
		require.Equal(t, syscall.Credential{Uid: h.User.Uid, Gid: h.User.Gid}, *user)
	}
}

// list is a slice of strings in one: each has a \x1f before it. A text without one
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
	add := func(path, argv, envp string, mode int) {
		f.Add(path, argv, envp, mode, "", "", 0, 0, []byte{}, byte(0))
	}
	for input := range byte(16) {
		f.Add("/bin/true", "", "", 1, "\x1fHOME\x1fPATH\x1fHOME\x1fNOT_SET", "/tmp", int(syscall.SIGINT), 5, []byte{7, 1, 2}, input)
	}
	for _, inherit := range []string{"\x1f", "\x1f=", "\x1fPATH=", "\x1fPATH\x1fA\x00", "\x1fHOM", "\x1f\xff"} {
		f.Add("/bin/true", "", "\x1fPATH=1", 0, inherit, "/", 0, 0, []byte{}, byte(0))
	}
	for _, dir := range []string{".", "tmp", "/\x00", "//", "/tmp/../x", " /"} {
		f.Add("/bin/true", "", "", 2, "", dir, 0, 0, []byte{}, byte(1))
	}
	for _, number := range []int{-40, -39, -1, 31, 39, 40, 64, 65, 126, 127} {
		f.Add("/bin/true", "", "", 1, "", "", number, number, []byte{}, byte(0))
	}
	for _, limits := range []string{"\x00\x02\x01", "\x00\x01\x01\x00\x01\x01", "\x00\x01\x01\x01\x01\x01", "\xff\x00\x00", "\x01"} {
		f.Add("/bin/true", "", "", 1, "", "", 0, 0, []byte(limits), byte(2))
	}
	for mode := -1; mode <= 3; mode++ {
		for _, path := range []string{"/bin/true", "", "bin/true", "true", "./true", "/", "//", "/a\x00b", "/\xff", "/a b\n=%s"} {
			add(path, "", "\x1fA=1", mode)
		}
		for _, argv := range []string{"none", "\x1f", "\x1fa\x1f\x1fb", "\x1fa\x00", "\x1fa\x1f\x00", "\x1f\xff=\n"} {
			add("/bin/true", argv, "", mode)
		}
		for _, envp := range []string{"none", "\x1f", "\x1fA", "\x1f=", "\x1f=A", "\x1fA=", "\x1fA==", "\x1fA=1\x1fA=1", "\x1fA=1\x1fAB=1",
			"\x1fAB=1\x1fA=1", "\x1fA==1\x1fA=", "\x1fA=\x00", "\x1fA\x00=1", "\x1fA=1\x1fB\x1fA=2", "\x1f\xff=\n\x1f\xfe=", "\x1f%s=1\x1f%s=2", "\x1f =1",
			"\x1fA=1\x1f A=1\x1fa=1"} {
			add("/bin/true", "\x1fargv0", envp, mode)
		}
	}
	f.Fuzz(func(t *testing.T, path, argvList, envpList string, mode int, inherit, dir string, stop, nice int, limits []byte, input byte) {
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
			Cleanup: func(r usermodehelper.Result) { cleanups <- end{r.Status, r.Err} },
		}
		fields(&h, inherit, dir, stop, nice, limits, input)
		asked := h
		h.Init = func(attr *os.ProcAttr) error {
			inits++
			requireFields(t, &asked, attr)
			return sentinel
		}
		status, err := h.Exec(context.Background(), usermodehelper.Mode(mode))
		require.Zero(t, status)
		wrong := wrongs(&asked, mode)
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
					Cleanup: func(r usermodehelper.Result) { ends <- r.Err }}
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
