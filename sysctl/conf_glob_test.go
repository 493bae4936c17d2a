package sysctl_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// loadedBy returns the value of the entry at path, which was 0, after a Load of text.
func loadedBy(t *testing.T, path, text string) int32 {
	var tree sysctl.Tree
	var v sysctl.Var[int32]
	i := strings.LastIndexByte(path, '/')
	_, err := tree.Register(path[:max(0, i)], sysctl.Entry{Name: path[i+1:], Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
	require.NoError(t, err)
	require.NoError(t, tree.Load(sysctl.Root, fstest.MapFS{"f": {Data: []byte(text)}}, "f"), "%q", text)
	return v.Load()
}

// A slash is one character for an excluded pattern, as each other one is.
func TestSlashIsOneCharacterOfAnExclusion(t *testing.T) {
	for pattern, excluded := range map[string]bool{
		"n*?x": true, "n*??x": true, "n*???x": true, "n/a*?x": true, "n/a*??x": false, "n/a?x": true, "n?a?x": true,
		"n*????x": false, "n*?????x": false, "n?????x": false, "*[!a][!b][!c]x": true, "n[!a][!b][!c][!d]x": false, "*[!b]x": true, "n[!z]a[/]x": true, "n[[:punct:]]a/x": true,
		"n[[:cntrl:]]a/x": false, "n[^[:cntrl:]]a/x": true, "n[!/]a/x": false, "n[+-9]a/x": true, "n[[:alnum:]]a/x": false,
	} {
		require.Equal(t, excluded, loadedBy(t, "n/a/x", "n/*/x=1\n-"+pattern+"\n") == 0, pattern)
	}
}

// The pattern of a setting needs a dot for the dot of a hidden part. The pattern of an
// exclusion does not.
func TestPatternDoesNotSetHiddenParts(t *testing.T) {
	for pattern, set := range map[string]bool{
		"n/*/x": false, "n/?h/x": false, "n/[.]h/x": false, "n/[!a]h/x": false, "n/*h/x": false, "*/*/*": false,
		"n/.*/x": true, "n/.?/x": true, `n/\.*/x`: true, "*/.h/*": true,
	} {
		require.Equal(t, set, loadedBy(t, "n/.h/x", pattern+"=1\n") == 1, pattern)
	}
	for _, pattern := range []string{"n/*/x", "n/?h/x", "n/[.]h/x", "*x", "n*h/x"} {
		require.Zero(t, loadedBy(t, "n/.h/x", "n/.*/x=1\n-"+pattern+"\n"), pattern)
	}
}

func TestSecondHyphenIsDropped(t *testing.T) {
	require.EqualValues(t, 5, loadedBy(t, "k", "--k=5\n"))
	require.EqualValues(t, 5, loadedBy(t, "k", "-- k = 5\n"))
	require.EqualValues(t, 0, loadedBy(t, "k", "*=5\n--k\n"))
	require.EqualValues(t, 5, loadedBy(t, "-k", "---k=5\n"))
	require.EqualValues(t, 0, loadedBy(t, "k", "--k=x\n"), "a failure is hidden")
	require.EqualValues(t, 0, loadedBy(t, "k", "--\n"))
}

// A name is compared as it is before it is a pattern.
func TestExcludedNameMayHaveABackslash(t *testing.T) {
	require.EqualValues(t, 0, loadedBy(t, `x\y`, "*=5\n"+`-/x\y`))
	require.EqualValues(t, 0, loadedBy(t, `d/x\`, "d/*=5\n"+`-d/x\`+"\n"))
	require.EqualValues(t, 0, loadedBy(t, "x*y", "*=5\n"+`-/x\*y`+"\n"))
	require.EqualValues(t, 5, loadedBy(t, `x\z`, "*=5\n"+`-/x\y`+"\n"))
}

// A name of files is a pattern of the shell's.
func TestNameOfFilesIsAPatternOfTheShell(t *testing.T) {
	files := fstest.MapFS{}
	for i, name := range []string{"a", "b", ".h", "1"} {
		files["c/"+name+".conf"] = &fstest.MapFile{Data: []byte(strings.Repeat("1", i+1))}
	}
	for _, f := range files {
		f.Data = append([]byte("x="), f.Data...)
	}
	for pattern, want := range map[string]int32{
		"c/[!a].conf": 11, "c/[^a].conf": 11, "c/[[:alpha:]].conf": 11, "c/[[:digit:]].conf": 1111, "c/[!1].conf": 11,
		"c/?.conf": 11, "*/b.conf": 11, "c/.*.conf": 111, "c/.h.conf": 111, "c/[.]h.conf": 0, "c/*h.conf": 0, "c/?h.conf": 0,
	} {
		var tree sysctl.Tree
		var v sysctl.Var[int32]
		_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
		require.NoError(t, err)
		err = tree.Load(sysctl.Root, files, pattern)
		require.Equal(t, want, v.Load(), pattern)
		if want == 0 {
			require.ErrorIs(t, err, fs.ErrNotExist, pattern)
		} else {
			require.NoError(t, err, pattern)
		}
	}
}

// In a pipes file system nothing may open a named pipe.
type pipes struct{ fstest.MapFS }

func (p pipes) Open(name string) (fs.File, error) {
	if p.MapFS[name] != nil && p.MapFS[name].Mode&fs.ModeNamedPipe != 0 {
		panic("opened " + name)
	}
	return p.MapFS.Open(name)
}

func (p pipes) ReadFile(name string) ([]byte, error) {
	f, err := p.Open(name)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, err
	}
	return p.MapFS.ReadFile(name)
}

func TestPipeIsNotReadAndHides(t *testing.T) {
	for name, load := range map[string]func(*sysctl.Tree, fs.FS) error{
		"LoadDirs": func(tree *sysctl.Tree, files fs.FS) error {
			return tree.LoadDirs(sysctl.Root, files, "etc/sysctl.d", "lib/sysctl.d")
		},
		"LoadSystem": func(tree *sysctl.Tree, files fs.FS) error { return tree.LoadSystem(sysctl.Root, files) },
	} {
		var tree sysctl.Tree
		var v sysctl.Var[int32]
		_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
		require.NoError(t, err)
		require.NoError(t, load(&tree, pipes{fstest.MapFS{
			"etc/sysctl.d/b.conf": {Mode: 0o644 | fs.ModeNamedPipe}, "lib/sysctl.d/b.conf": {Data: []byte("x=7")},
			"lib/sysctl.d/a.conf": {Data: []byte("x=1")},
		}}), name)
		require.EqualValues(t, 1, v.Load(), name)
	}
}
