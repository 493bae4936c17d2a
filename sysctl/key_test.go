package sysctl_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

func TestPathOfKeyIsDecidedByItsFirstSeparator(t *testing.T) {
	for key, path := range map[string]string{
		"":                            "",
		"panic":                       "panic",
		"kernel.hostname":             "kernel/hostname",
		"kernel/hostname":             "kernel/hostname",
		"net.ipv4.conf.eth0/100.x":    "net/ipv4/conf/eth0.100/x",
		"net/ipv4/conf/eth0.100/x":    "net/ipv4/conf/eth0.100/x",
		"net.ipv4/conf":               "net/ipv4.conf",
		"net/ipv4.conf":               "net/ipv4.conf",
		"net.ipv4.conf.eth0/100/7.x":  "net/ipv4/conf/eth0.100.7/x",
		".kernel.hostname":            "/kernel/hostname",
		"/kernel/hostname":            "/kernel/hostname",
		"kernel..hostname":            "kernel//hostname",
		"kernel.":                     "kernel/",
		"./":                          "/.",
		"/.":                          "/.",
		"kernel . x":                  "kernel / x",
		"net.ipv4.conf.*.x":           "net/ipv4/conf/*/x",
		"net.ipv4.conf.\xff.h\u00e9.": "net/ipv4/conf/\xff/h\u00e9/",
	} {
		require.Equal(t, path, sysctl.Path(key), "%q", key)
	}
}

func TestKeyOfPathHasDots(t *testing.T) {
	for path, key := range map[string]string{
		"":                         "",
		"panic":                    "panic",
		"kernel/hostname":          "kernel.hostname",
		"net/ipv4/conf/eth0.100/x": "net.ipv4.conf.eth0/100.x",
		"/kernel/hostname":         ".kernel.hostname",
		"kernel//x":                "kernel..x",
	} {
		require.Equal(t, key, sysctl.Key(path), "%q", path)
		require.Equal(t, path, sysctl.Path(key), "%q", key)
	}
}

// Left alone or swapped, such a key would name another entry.
func TestKeyOfPathWhoseFirstPartHasADotIsAPathStill(t *testing.T) {
	for path, key := range map[string]string{
		"eth0.100/x": "/eth0.100/x",
		"a.b":        "/a.b",
		".":          "/.",
	} {
		require.Equal(t, key, sysctl.Key(path))
		require.Equal(t, "/"+path, sysctl.Path(key))
	}
	var tree sysctl.Tree
	_, err := tree.Register("eth0.100", entry("x"))
	require.NoError(t, err)
	require.NoError(t, tree.WriteFile(sysctl.Root, sysctl.Path(sysctl.Key("eth0.100/x")), []byte("there\n")))
}

// parts returns the parts that a tree looks at: it drops empty parts of a path.
func parts(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"", "a", ".", "/", "kernel.hostname", "net.ipv4.conf.eth0/100.x", "eth0.100/x", "/a.b", "..//", "\xff.\xfe/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path := sysctl.Path(s)
		require.Equal(t, parts(s), parts(sysctl.Path(sysctl.Key(s))), "a path comes back from its key")
		require.Equal(t, path, sysctl.Path(path), "a path is a key of itself")
		require.Equal(t, path, sysctl.Path(sysctl.Key(path)), "a key's entry has a key")
		require.Len(t, path, len(s))
		i := strings.IndexAny(s, "./")
		if i < 0 {
			return
		}
		require.EqualValues(t, '/', path[i], "the first separator parts directories")
		require.Equal(t, strings.Count(s, "/")+strings.Count(s, "."), strings.Count(path, "/")+strings.Count(path, "."))
		if s[i] == '.' {
			require.Equal(t, s, sysctl.Key(path), "a dotted key is the key of its path")
		}
	})
}
