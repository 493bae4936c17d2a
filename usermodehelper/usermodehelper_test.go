package usermodehelper_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func TestEnviron(t *testing.T) {
	require.Equal(t, []string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"}, usermodehelper.Environ())
	for _, c := range []struct{ extra, want []string }{
		{[]string{"PATH=/usr/local/bin"}, []string{"HOME=/", "PATH=/usr/local/bin"}},
		{[]string{"A=1", "HOME=/home"}, []string{"PATH=/sbin:/usr/sbin:/bin:/usr/bin", "A=1", "HOME=/home"}},
		{[]string{"HOME=", "PATH="}, []string{"HOME=", "PATH="}},
		{[]string{"HOMEWARD=1", "PATH2=2", "PATH"}, []string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "HOMEWARD=1", "PATH2=2", "PATH"}},
	} {
		require.Equal(t, c.want, usermodehelper.Environ(c.extra...))
	}
	first := usermodehelper.Environ("A=1", "B=2")
	require.Equal(t, []string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "A=1", "B=2"}, first)
	_ = append(usermodehelper.Environ(), "X=1")
	require.Equal(t, "A=1", first[2])
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status usermodehelper.Status
		code   int
		signal int
		text   string
	}{
		{0, 0, 0, "exit status 0"},
		{0x300, 3, 0, "exit status 3"},
		{0xff00, 255, 0, "exit status 255"},
		{9, -1, 9, "signal: killed"},
		{0x80 | 9, -1, 9, "signal: killed"}, // with a core dump
	} {
		require.Equal(t, c.code, c.status.ExitCode())
		require.EqualValues(t, c.signal, c.status.Signal())
		require.Equal(t, c.text, c.status.String())
	}
}

func TestModeNames(t *testing.T) {
	var zero usermodehelper.Mode
	require.Equal(t, "WaitExec", zero.String())
	require.Equal(t, "WaitProc", usermodehelper.WaitProc.String())
	require.Equal(t, "NoWait", usermodehelper.NoWait.String())
	require.Equal(t, "Mode(7)", usermodehelper.Mode(7).String())
}

func TestBadCallsAreRefusedInEveryMode(t *testing.T) {
	const path = "/no/such/file" // is not reached
	for name, c := range map[string]struct {
		path       string
		argv, envp []string
		text       string
	}{
		"empty path":    {"", nil, nil, "empty"},
		"relative path": {"bin/true", nil, nil, "not absolute"},
		"bare name":     {"true", nil, nil, "not absolute"},
		"NUL in path":   {path + "\x00", nil, nil, "NUL"},
		"NUL in argv":   {path, []string{"a", "b\x00"}, nil, "argv[1]"},
		"NUL in envp":   {path, nil, []string{"A=\x00"}, "envp[0]"},
		"no =":          {path, nil, []string{"A=1", "B"}, "envp[1]"},
		"no name":       {path, nil, []string{"=1"}, "envp[0]"},
		"twice":         {path, nil, []string{"A=1", "B=1", "A=2"}, "envp[2] sets A a second time"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []usermodehelper.Mode{usermodehelper.WaitExec, usermodehelper.WaitProc, usermodehelper.NoWait} {
				_, err := usermodehelper.Call(context.Background(), c.path, c.argv, c.envp, mode)
				requireInvalid(t, err, c.text)
			}
		})
	}
	for _, mode := range []usermodehelper.Mode{-1, 3} {
		_, err := usermodehelper.Call(context.Background(), path, nil, nil, mode)
		requireInvalid(t, err, "is not a mode")
	}
}
