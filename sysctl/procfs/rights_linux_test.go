//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rightsModes are modes that give different rights to owner, group and others. They are in
// the order of a listing.
var rightsModes = []fs.FileMode{0o000, 0o060, 0o066, 0o200, 0o444, 0o600, 0o604, 0o640, 0o644, 0o646}

// callers have ids, and the digit of a mode that is for them.
var callers = []struct {
	name, setpriv string
	shift         int
}{
	{"user 0", "--reuid 0 --regid 0 --groups 0", 6},
	{"user 0 without group 0", "--reuid 0 --regid 65534 --clear-groups", 6},
	{"user 0 without capabilities", "--reuid 0 --regid 0 --groups 0 --bounding-set=-all --inh-caps=-all", 6},
	{"group 0", "--reuid 65534 --regid 0 --clear-groups", 3},
	{"group 0 among others", "--reuid 65534 --regid 65534 --groups 7,0,9", 3},
	{"a stranger", "--reuid 65534 --regid 65534 --clear-groups", 0},
	{"a stranger with groups", "--reuid 65534 --regid 65534 --groups 7,9", 0},
}

// Opening and access(2) follow the digit of the caller alone. No capability overrides it,
// and no caller may execute.
func TestRightsAreTheDigitOfTheCaller(t *testing.T) {
	asRoot(t)
	program(t, "setpriv")
	s := mountTree(t)
	for _, mode := range rightsModes {
		s.register(t, "", withMode(mode))
	}
	const script = `for f in 0*; do
		echo $f $({ :; } < $f && echo open-r; { :; } >> $f && echo open-w; { :; } <> $f && echo open-rw
			[ -r $f ] && echo r; [ -w $f ] && echo w; [ -x $f ] && echo x)
	done 2>&1 | grep -v denied`
	for _, c := range callers {
		var want strings.Builder
		for _, mode := range rightsModes {
			digit := mode >> c.shift & 7
			words := []string{fmt.Sprintf("%04o", mode)}
			for _, right := range []struct {
				need fs.FileMode
				word string
			}{{4, "open-r"}, {2, "open-w"}, {6, "open-rw"}, {4, "r"}, {2, "w"}} {
				if digit&right.need == right.need {
					words = append(words, right.word)
				}
			}
			fmt.Fprintln(&want, strings.Join(words, " "))
		}
		out, _ := bash(t, s.dir, "setpriv "+c.setpriv+" bash -c '"+script+"'")
		require.Equal(t, want.String(), out, c.name)
	}
}

// A process keeps an open file when its ids change. Each read and write is checked again,
// with the new ids.
func TestIDsThatChangeAfterTheOpenCount(t *testing.T) {
	asRoot(t)
	program(t, "setpriv")
	s := mountTree(t)
	s.register(t, "", withMode(0o600))
	const nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups bash -c"
	s.prints(t, "abc\n", 0, "exec 3<> kernel/name; "+nobody+" 'cat <&3'")
	s.prints(t, "bash: line 1: echo: write error: Operation not permitted\n", 1,
		"exec 3<> kernel/name; "+nobody+" 'echo x >&3'")
	s.prints(t, "cat: -: Operation not permitted\n", 1, "exec 3<> 0600; "+nobody+" 'cat <&3'")
	s.prints(t, "", 0, "exec 3<> 0600; setpriv --reuid 0 --regid 65534 --clear-groups bash -c 'echo x >&3'")
	require.Equal(t, "abc\n", s.value(t, "kernel/name"))
	require.Equal(t, "x\n", s.value(t, "0600"))
}

// No process can make, remove, rename or change a file, not even as user 0.
func TestNamesAndAttributesStay(t *testing.T) {
	s := mountTree(t)
	s.register(t, "", withMode(0o444))
	for script, want := range map[string]string{
		"chmod 600 name":          "chmod: changing permissions of 'name': Operation not permitted",
		"chown 0:0 name":          "chown: changing ownership of 'name': Operation not permitted",
		"chgrp 0 .":               "chgrp: changing group of '.': Operation not permitted",
		"rm -f name":              "rm: cannot remove 'name': Permission denied",
		"rmdir ../kernel":         "rmdir: failed to remove '../kernel': Permission denied",
		"touch new":               "touch: cannot touch 'new': No such file or directory",
		"mkdir new":               "mkdir: cannot create directory 'new': No such file or directory",
		"mkdir name":              "mkdir: cannot create directory 'name': File exists",
		"ln -s x new":             "ln: failed to create symbolic link 'new': No such file or directory",
		"ln name new":             "ln: failed to create hard link 'new' => 'name': No such file or directory",
		"mkfifo new":              "mkfifo: cannot create fifo 'new': No such file or directory",
		"mv -T name new":          "mv: cannot move 'name' to 'new': No such file or directory",
		"mv -T name number":       "mv: cannot move 'name' to 'number': Permission denied",
		"mv -T ../kernel ../new":  "mv: cannot move '../kernel' to '../new': No such file or directory",
		"truncate -s 0 ../0444":   "truncate: cannot open '../0444' for writing: Permission denied",
		"$PROBE truncate ../0444": "-1 EACCES",
		"$PROBE tmpfile .":        "-1 EACCES",
		"sync .":                  "sync: error syncing '.': Invalid argument",
	} {
		out, code := bash(t, s.dir+"/kernel", script)
		require.Equal(t, want+"\n", out, script)
		require.Equal(t, 1, code, script)
	}
	s.prints(t, "0444\nkernel\nname\nnumber\n", 0, "ls -1; ls -1 kernel")
}

// A size and a time can be set, and nothing changes. The shell sets the size to 0 when it
// opens a file by ">".
func TestSizesAndTimesAreIgnored(t *testing.T) {
	asRoot(t)
	program(t, "setpriv")
	s := mountTree(t)
	for _, script := range []string{
		"> name", ": > name", "echo -n > name", "echo -n >> name", "truncate -s 0 name", "truncate -s 99999 name",
		"$PROBE truncate name > /dev/null", "touch name", "touch -d yesterday name", "cp /dev/null name", "dd of=name seek=7 count=0 status=none",
	} {
		out, code := bash(t, s.dir+"/kernel", script)
		require.Empty(t, out, script)
		require.Zero(t, code, script)
		require.Equal(t, "abc\n", s.value(t, "kernel/name"), script)
	}
	s.prints(t, "4096 1970-01-01\n", 0, "TZ=UTC stat -c '%s %.10y' kernel/name")
	const nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups "
	s.prints(t, "touch: cannot touch 'kernel/name': Permission denied\n", 1, nobody+"touch kernel/name")
	s.prints(t, "touch: setting times of 'kernel/name': Operation not permitted\n", 1, nobody+"touch -c -d yesterday kernel/name")
}
