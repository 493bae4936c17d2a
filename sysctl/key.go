package sysctl

import "strings"

// Path returns the path of the entry that sysctl(8) and its files call key. The
// first separator in it decides: if it is a dot, all dots become slashes and all
// slashes dots; if it is a slash, key is a path already. So both
// net.ipv4.conf.eth0/100.x and net/ipv4/conf/eth0.100/x are the latter.
//
// Kernel: sysctl(8)
func Path(key string) string {
	if i := strings.IndexAny(key, "./"); i < 0 || key[i] == '/' {
		return key
	}
	return swapped.Replace(key)
}

// Key returns what sysctl(8) calls the entry at path, with dots. Path turns it
// back into a path of the same entry.
//
// Kernel: sysctl(8)
//
// Differs: a path whose first part has a dot, of which there is none below /proc/sys, is returned with a slash before it, for that dot is not to be taken for the separator.
func Key(path string) string {
	i := strings.IndexAny(path, "./")
	if i >= 0 && path[i] == '.' {
		return "/" + path
	}
	return swapped.Replace(path)
}

var swapped = strings.NewReplacer(".", "/", "/", ".")
