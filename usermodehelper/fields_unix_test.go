//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func init() { roles["change-user"] = changeUser }

// said runs the helper, which has to exit with 0, and returns its output.
func said(t *testing.T, h *usermodehelper.Helper) string {
	t.Helper()
	h.Output = new(usermodehelper.Output)
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status, "%s", h.Output)
	return h.Output.String()
}

func TestHelperInheritsTheVariablesThatAreNamed(t *testing.T) {
	t.Setenv("KPRIM_PROXY", "http://proxy")
	t.Setenv("KPRIM_SECRET", "hunter2")
	t.Setenv("KPRIM_EMPTY", "")
	h := usermodehelper.Helper{Path: "/usr/bin/env", Envp: []string{"A=1", "KPRIM_LANG=C"}}
	require.Equal(t, "A=1\nKPRIM_LANG=C\n", said(t, &h))

	t.Setenv("KPRIM_LANG", "de")
	h.Inherit = []string{"KPRIM_PROXY", "KPRIM_NOT_SET", "KPRIM_EMPTY", "KPRIM_LANG", "KPRIM_PROXY", "KPRIM"}
	require.Equal(t, "A=1\nKPRIM_LANG=C\nKPRIM_PROXY=http://proxy\nKPRIM_EMPTY=\n", said(t, &h), "once, and Envp wins")
	require.Equal(t, []string{"A=1", "KPRIM_LANG=C"}, h.Envp, "Exec does not change a Helper")

	h.Envp = nil
	t.Setenv("KPRIM_PROXY", "none")
	require.Equal(t, "KPRIM_PROXY=none\nKPRIM_EMPTY=\nKPRIM_LANG=de\n", said(t, &h))
}

// A later change of the program's environment, or of the fields, does not count.
func TestFieldsAreThoseOfTheCall(t *testing.T) {
	t.Setenv("KPRIM_PROXY", "before")
	gate := &usermodehelper.Gate{Max: 1}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	h := shell(`echo $KPRIM_PROXY`)
	h.Gate, h.Output, h.Inherit = gate, new(usermodehelper.Output), []string{"KPRIM_PROXY"}
	if os.Getuid() == 0 {
		h.User = &usermodehelper.User{Uid: 1234, Gid: 1235, Groups: []uint32{1236}}
		h.Argv[2] += `; id -u; id -G`
	}
	end := make(chan ended, 1)
	h.Cleanup = func(r usermodehelper.Result) { end <- ended{r.Status, r.Err} }
	_, err = h.Exec(t.Context(), usermodehelper.NoWait)
	require.NoError(t, err)
	t.Setenv("KPRIM_PROXY", "after")
	h.Inherit[0] = "HOME"
	if h.User != nil {
		h.User.Uid, h.User.Groups[0] = 0, 0
	}
	first.letGo()
	require.Equal(t, ended{}, <-end)
	want := "before\n"
	if h.User != nil {
		want += "1234\n1235 1236\n"
	}
	require.Equal(t, want, h.Output.String())
}

func TestHelperRunsInItsDir(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	h := shell(`pwd -P`)
	for field, want := range map[string]string{"": "/", "/": "/", dir: dir} {
		h.Dir = field
		require.Equal(t, want+"\n", said(t, h))
	}
	h.Init = func(attr *os.ProcAttr) error {
		require.Equal(t, dir, attr.Dir)
		attr.Dir = "/dev"
		return nil
	}
	h.Dir = dir
	require.Equal(t, "/dev\n", said(t, h))

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	loop := filepath.Join(dir, "loop")
	require.NoError(t, os.Symlink(loop, loop))
	for field, want := range map[string]error{
		filepath.Join(dir, "missing"):  syscall.ENOENT,
		file:                           syscall.ENOTDIR,
		loop:                           syscall.ELOOP,
		"/" + strings.Repeat("x", 300): syscall.ENAMETOOLONG,
	} {
		h.Init, h.Dir = nil, field
		_, err = h.Exec(t.Context(), usermodehelper.WaitProc)
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, "/bin/sh was not started: stat "+h.Dir+"/.: ")
	}
	h.Path, h.Dir = "/missing", dir
	_, err = h.Exec(t.Context(), usermodehelper.WaitProc)
	require.EqualError(t, err, "usermodehelper: fork/exec /missing: no such file or directory")
}

// As for every program, ".." is the parent of the directory to which a link leads.
func TestDirWithALink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "elsewhere", "deep"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "elsewhere", "deep"), filepath.Join(dir, "link")))
	t.Chdir(dir)
	want := filepath.Join(dir, "elsewhere") + "\n"
	h := shell(`pwd -P`)
	h.Dir = dir + "/link/.."
	require.Equal(t, want, said(t, h))
	h.Init = func(attr *os.ProcAttr) error {
		require.Equal(t, h.Dir, attr.Dir)
		attr.Dir = "link/.."
		return nil
	}
	require.Equal(t, want, said(t, h))
	h.Init = func(attr *os.ProcAttr) error { attr.Dir = ""; return nil }
	require.Equal(t, dir+"\n", said(t, h))
	t.Chdir("/")
	h.Init = func(attr *os.ProcAttr) error { attr.Dir = "missing"; return nil }
	_, err = h.Exec(t.Context(), usermodehelper.WaitProc)
	require.EqualError(t, err, "usermodehelper: /bin/sh was not started: stat /missing/.: no such file or directory")
}

func TestStopSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{0, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGKILL} {
		rec := recorded(t)
		ctx, cancel := context.WithCancel(t.Context())
		h := shell(`exec sleep 1000`)
		h.Stop = sig
		result := started(t, ctx, h)
		cancel()
		got := <-result
		if sig == 0 {
			sig = syscall.SIGTERM
		}
		require.Equal(t, sig, got.status.Signal())
		require.ErrorIs(t, got.err, syscall.EINTR)
		require.Equal(t, sig.String()+" continued killed reap", rec.take(t))
	}
}

// A member that is left gets the same signal from Sweep.
func TestSweepSendsTheStopSignal(t *testing.T) {
	h := shell(`(trap 'echo swept >&3; exit' USR1; echo ready >&3; while :; do sleep 0.01; done) & read x <&0; exit 0`)
	h.Sweep, h.Stop = true, syscall.SIGUSR1
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	h.Init = func(attr *os.ProcAttr) error { attr.Files[0] = r; return nil }
	l := leashed(t, h)
	result := started(t, t.Context(), h)
	require.Equal(t, "ready", l.line())
	require.NoError(t, w.Close())
	<-result
	require.Equal(t, "swept\n", l.gone())
}

func TestHelperRunsAsItsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change the user")
	}
	h := shell(`id -u; id -g; id -G`)
	h.User = &usermodehelper.User{Uid: 1234, Gid: 1235}
	require.Equal(t, "1234\n1235\n1235\n", said(t, h), "without the program's groups")
	h.User.Groups = []uint32{7, 8}
	require.Equal(t, "1234\n1235\n1235 7 8\n", said(t, h))
	h.Init = func(attr *os.ProcAttr) error {
		require.EqualValues(t, 1234, attr.Sys.Credential.Uid)
		attr.Sys.Credential = nil
		return nil
	}
	require.True(t, strings.HasPrefix(said(t, h), "0\n"))
}

func TestUserThatIsNotPermitted(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.Mkdir(closed, 0))
	if os.Getuid() != 0 {
		require.NoError(t, changeUser([]string{closed}))
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(closed), 0o755))
	program, err := os.ReadFile(self(t))
	require.NoError(t, err)
	h := usermodehelper.Helper{Path: filepath.Join(dir, "test"), Argv: []string{"kprim-test-helper", "change-user", closed}}
	require.NoError(t, os.WriteFile(h.Path, program, 0o755))
	h.User = &usermodehelper.User{Uid: 1234, Gid: 1234}
	require.Empty(t, said(t, &h))

	require.NoError(t, os.Chmod(dir, 0o700))
	h.Path, h.Dir = "/bin/sh", dir
	_, err = h.Exec(t.Context(), usermodehelper.WaitExec)
	require.ErrorIs(t, err, syscall.EACCES)
	require.EqualError(t, err, "usermodehelper: as user 1234 and group 1234 in "+dir+": fork/exec /bin/sh: permission denied")

	h.Dir, h.User = "", &usermodehelper.User{Uid: math.MaxUint32} // which setuid(2) refuses
	_, err = h.Exec(t.Context(), usermodehelper.WaitExec)
	require.EqualError(t, err, "usermodehelper: as user 4294967295 and group 0 in /: fork/exec /bin/sh: invalid argument")
}

// changeUser runs helpers that a plain user may not run: as another user, and in a directory
// that is closed.
func changeUser(args []string) error {
	h := usermodehelper.Helper{Path: "/bin/sh", Dir: args[0]}
	_, err := h.Exec(context.Background(), usermodehelper.WaitExec)
	if want := "stat " + h.Dir + "/.: permission denied"; !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), want) {
		return fmt.Errorf("not as it should be: %w", err)
	}
	for _, uid := range []uint32{0, uint32(os.Getuid())} {
		for _, dir := range []string{"/", args[0]} { // the user comes first
			h := usermodehelper.Helper{Path: "/bin/sh", Dir: dir, User: &usermodehelper.User{Uid: uid, Gid: 5}}
			_, err := h.Exec(context.Background(), usermodehelper.WaitExec)
			want := fmt.Sprintf("usermodehelper: as user %d and group 5 in %s: fork/exec /bin/sh: operation not permitted", uid, dir)
			if !errors.Is(err, syscall.EPERM) || err.Error() != want {
				return fmt.Errorf("not as it should be: %w", err)
			}
		}
	}
	return nil
}

func TestBadFieldsAreRefusedInEveryMode(t *testing.T) {
	one := usermodehelper.Limit{Resource: syscall.RLIMIT_NOFILE, Soft: 1, Hard: 1}
	for text, change := range map[string]func(*usermodehelper.Helper){
		`Inherit[1] is ""`:      func(h *usermodehelper.Helper) { h.Inherit = []string{"A", ""} },
		`Inherit[0] is "A=1"`:   func(h *usermodehelper.Helper) { h.Inherit = []string{"A=1"} },
		`Inherit[0] is "A\x00"`: func(h *usermodehelper.Helper) { h.Inherit = []string{"A\x00"} },
		`Dir "tmp"`:             func(h *usermodehelper.Helper) { h.Dir = "tmp" },
		`Dir "."`:               func(h *usermodehelper.Helper) { h.Dir = "." },
		`Dir has a NUL byte`:    func(h *usermodehelper.Helper) { h.Dir = "/\x00" },
		`Stop is -1`:            func(h *usermodehelper.Helper) { h.Stop = -1 },
		`Stop is 127`:           func(h *usermodehelper.Helper) { h.Stop = 127 },
		`Nice is 40`:            func(h *usermodehelper.Helper) { h.Nice = 40 },
		`Nice is -40`:           func(h *usermodehelper.Helper) { h.Nice = -40 },
		`Limits[1] sets`:        func(h *usermodehelper.Helper) { h.Limits = []usermodehelper.Limit{one, one} },
		`Limits[0] has a Soft`: func(h *usermodehelper.Helper) {
			h.Limits = []usermodehelper.Limit{{Resource: syscall.RLIMIT_NOFILE, Soft: math.MaxUint64, Hard: 1}}
		},
	} {
		want := error(syscall.EINVAL)
		if runtime.GOOS != "linux" && (text[0] == 'N' || text[0] == 'L') {
			want, text = errors.ErrUnsupported, "need Linux"
		}
		for _, mode := range allModes {
			h := usermodehelper.Helper{Path: "/no/such/file"} // is not reached
			change(&h)
			_, err := h.Exec(t.Context(), mode)
			require.ErrorIs(t, err, want)
			require.ErrorContains(t, err, text)
		}
	}
}
