package sysctl

import "strings"

// Path returns the path of the entry that sysctl(8) and its files call key. The
// first separator in it decides: if it is a dot, all dots become slashes and all
// slashes dots. If it is a slash, key is a path already. So the path of
// net.ipv4.conf.eth0/100.x is net/ipv4/conf/eth0.100/x.
//
// Kernel: sysctl(8)
func Path(key string) string {
	if i := strings.IndexAny(key, "./"); i < 0 || key[i] == '/' {
		return key
	}
	return swapped.Replace(key)
}

// Key returns the name that sysctl(8) has for the entry at path, with dots. Path turns
// it back into a path of the same entry.
//
// Kernel: sysctl(8)
//
// Differs: adds a slash before a path whose first part has a dot, because Path would take that dot for the separator. There is no such path below /proc/sys.
func Key(path string) string {
	i := strings.IndexAny(path, "./")
	if i >= 0 && path[i] == '.' {
		return "/" + path
	}
	return swapped.Replace(path)
}

var swapped = strings.NewReplacer(".", "/", "/", ".")
