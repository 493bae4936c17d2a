package sysctl_test

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// FuzzLoad compares with the model: the writes, their order, and the faults with their
// lines.
//
//	go test ./sysctl -run - -fuzz FuzzLoad -fuzztime 60s
func FuzzLoad(f *testing.F) {
	for _, c := range linesOfAFile {
		f.Add(c.text, "", false)
		f.Add("kernel.*=1\n-net.ipv4.conf.*.x=2", c.text, true)
		f.Add(c.text, "-kernel.msg[!m]*\nkernel.hostname=z\nnet.ipv4.conf.*.?=3\n-x", false)
	}
	f.Add("."+strings.Repeat("*", 3000)+"/=", "0", false)
	f.Fuzz(func(t *testing.T, first, second string, system bool) {
		if len(first)+len(second) >= 1<<20 {
			return
		}
		files := []string{"1", "2"}
		if system {
			files = []string{"etc/sysctl.d/1.conf", "etc/sysctl.conf"}
		}
		b, m := newBook(t), &modelConf{entries: bookEntries(), optional: system}
		fsys := fstest.MapFS{files[0]: file(first), files[1]: file(second)}
		load := func() error { return b.Load(sysctl.Root, fsys, files...) }
		if system {
			load = func() error { return b.LoadSystem(sysctl.Root, fsys) }
		}
		var errs []string
		for _, e := range failures(t, load()) {
			errs = append(errs, e.File+":"+brief(e))
			if e.Key != "" {
				require.Equal(t, e.Err.(*fs.PathError).Path, strings.TrimPrefix(sysctl.Path(e.Key), "/"))
			}
		}
		m.read(files[0], first)
		m.read(files[1], second)
		all := *m
		m.apply()
		require.Equal(t, m.written, b.written)
		require.Equal(t, m.errs, errs)
		all.applyAll()
		requireAllOrNothing(t, &all, fsys, files, system)
	})
}

// requireAllOrNothing compares Settings with the model. The entries are as in a
// book, but can be asked.
func requireAllOrNothing(t *testing.T, m *modelConf, fsys fs.FS, files []string, system bool) {
	var tree sysctl.Tree
	var written []string
	for path, failure := range bookEntries() {
		dir, name := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			dir, name = path[:i], path[i+1:]
		}
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(failure, "EACCES") {
			mode = 0o444
		}
		v := &sysctl.Var[string]{
			Parse: func(text string) (string, error) {
				switch {
				case strings.HasSuffix(failure, "EINVAL"):
					return "", syscall.EINVAL
				case strings.HasSuffix(failure, "ENOENT"):
					return "", syscall.ENOENT
				}
				return text, nil
			},
			Format:  func(text string) string { return text },
			Changed: func(c sysctl.Change[string]) { written = append(written, c.Path+"="+c.New+"\n") },
		}
		_, err := tree.Register(dir, sysctl.Entry{Name: name, Mode: mode, Handler: v})
		require.NoError(t, err)
	}
	var s sysctl.Settings
	if system {
		s.Unknown = func(*sysctl.SettingError) {}
		s.System(fsys)
	} else {
		s.Files(fsys, files...)
	}
	var errs []string
	for _, e := range failures(t, s.Check(&tree, sysctl.Root)) {
		errs = append(errs, e.File+":"+brief(e))
	}
	require.Equal(t, m.errs, errs)
	require.Empty(t, written)
	require.Equal(t, fmt.Sprint(s.Check(&tree, sysctl.Root)), fmt.Sprint(s.Apply(&tree, sysctl.Root)))
	require.Equal(t, m.written, written)
	requirePutBack(t, &tree, &s, &written)
}

// requirePutBack applies the settings again, and one that is refused after a store. All
// values are as before then. The settings may have patterns and repetitions.
func requirePutBack(t *testing.T, tree *sysctl.Tree, s *sysctl.Settings, written *[]string) {
	all := func() (texts []string) {
		require.NoError(t, tree.Walk(func(path string, e sysctl.Entry) error {
			text, err := tree.ReadFile(sysctl.Root, path)
			texts = append(texts, path+"="+string(text)+tree.Source(path))
			return err
		}))
		return texts
	}
	*written = nil
	_, err := tree.Register("", sysctl.Entry{Name: "last", Mode: 0o644, Handler: sysctl.NewVar(0, func(_, new int) error {
		if len(*written) > 0 {
			return syscall.EBUSY
		}
		return nil
	})})
	require.NoError(t, err)
	require.NoError(t, s.Set("last=0"))
	before := all()
	if err := s.Apply(tree, sysctl.Root); len(*written) > 0 {
		require.ErrorIs(t, err, syscall.EBUSY)
		require.Equal(t, before, all())
	}
}
