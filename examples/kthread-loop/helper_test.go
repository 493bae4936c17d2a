//go:build linux || darwin || freebsd

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// mailing installs helper.sh, and a program mail that is the given script, and
// returns their directories.
func mailing(t *testing.T, mails bool, mail string) (dir, bin string) {
	t.Setenv("TMPDIR", t.TempDir())
	path, err := installHelper(mails)
	require.NoError(t, err)
	bin = t.TempDir()
	if mail != "" {
		require.NoError(t, os.WriteFile(filepath.Join(bin, "mail"), []byte("#!/bin/sh\n"+mail), 0o755))
	}
	return filepath.Dir(path), bin
}

// text returns the text of a file, or "" if there is no such file.
func text(t *testing.T, dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return string(text)
}

// The helper mails only if it was told to, and only by the program that PATH
// leads to. It always keeps a copy. Its status is the status of the mail.
func TestHelperMails(t *testing.T) {
	const alert = "kernel datastructure 9527 is in trouble\n"
	const mail = `echo "$@" >> "${0%/*}/args"; while read -r line; do echo "$line" >> "${0%/*}/text"; done`
	for name, c := range map[string]struct {
		mails      bool
		mail       string
		exit       int
		args, text string
	}{
		"a mail program":         {true, mail, 0, "-s Alert root\n", alert},
		"none":                   {true, "", 0, "", ""},
		"one, but not asked to":  {false, mail, 0, "", ""},
		"one that fails":         {true, mail + "; exit 75", 75, "-s Alert root\n", alert},
		"one that does not read": {true, "exit 1", 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, bin := mailing(t, c.mails, c.mail)
			for range 2 {
				cmd := exec.Command(filepath.Join(dir, "helper"))
				cmd.Env = []string{"HOME=/", "PATH=" + bin, "TROUBLED_DS=9527"}
				_ = cmd.Run()
				require.Equal(t, c.exit, cmd.ProcessState.ExitCode())
			}
			require.Equal(t, strings.Repeat(c.args, 2), text(t, bin, "args"))
			require.Equal(t, strings.Repeat(c.text, 2), text(t, bin, "text"))
			require.Equal(t, strings.Repeat(alert, 2), text(t, dir, "mailbox"))
		})
	}
}

func TestHelperThatCannotWriteItsMailbox(t *testing.T) {
	dir, _ := mailing(t, true, "")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "mailbox"), 0o700))
	cmd := exec.Command(filepath.Join(dir, "helper"))
	cmd.Env = []string{"HOME=/", "PATH=/none", "TROUBLED_DS=9527"}
	require.Error(t, cmd.Run())
}

// The end of the helper's time ends a mail program that hangs, and the alert has
// failed. On a busy machine there may be no copy yet.
func TestMailProgramThatHangs(t *testing.T) {
	dir, bin := mailing(t, true, "exec > \"${0%/*}/fifo\"\nsleep 1000")
	pipe := fifo(t, filepath.Join(bin, "mail"))
	b := loaded(t, file(t, fmt.Sprintf("PATH='%s':$PATH exec '%s/helper'", bin, dir)))
	b.timeout = 300 * time.Millisecond
	f, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer f.Close()
	b.trouble(t, 9527, 596)
	b.settle()
	_, err = io.ReadAll(f) // ends when helper, mail and sleep are gone
	require.NoError(t, err)
	require.Regexp(t, "9527: .*deadline exceeded\n", b.kill(t))
	require.Equal(t, 1, b.failed)
}

func TestHelperGetsThreeStringsAndItsPath(t *testing.T) {
	t.Setenv("KPRIM_SECRET", "hunter2")
	path := playing(t, "helper")
	b := loaded(t, path)
	b.trouble(t, 9527, 1)
	require.Contains(t, b.kill(t), "9527 is served\n")
	text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "seen"))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("argv [%q]\nenv %q\n", path,
		[]string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "TROUBLED_DS=9527"}), string(text))
}

func TestEverybodyReadsTheEntryAndRootWritesIt(t *testing.T) {
	var handler sysctl.Var[string]
	var proc sysctl.Tree
	_, err := proc.Register("kernel", entry(&handler))
	require.NoError(t, err)
	for _, cred := range []sysctl.Cred{sysctl.Root, sysctl.Group, sysctl.Nobody} {
		_, err := proc.ReadFile(cred, entryName)
		require.NoError(t, err)
		err = proc.WriteFile(cred, entryName, []byte("/path\n"))
		if cred == sysctl.Root {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, syscall.EACCES)
		}
	}
}

// The blanks in the article's sprintf make another name of the variable.
func TestBlanksInTheVariable(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "echo kernel datastructure $TROUBLED_DS is in trouble")
	cmd.Env = []string{"TROUBLED_DS = 9527"}
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "kernel datastructure is in trouble\n", string(out))
}
