package vfs

import (
	"io/fs"
	"maps"
	"slices"
	"syscall"
)

// Static returns a directory whose names stay as they are, with a copy of nodes. It is
// the top of a mount that has single files, or several trees:
//
//	vfs.Static(map[string]vfs.Node{"sleep": &sleepfile.File{}, "sys": tree.VFS()})
//
// User 0 owns the directory. Every user may read and search it, and none may write it.
//
// Kernel: simple_fill_super, struct tree_descr
func Static(nodes map[string]Node) Dir { return &static{maps.Clone(nodes)} }

// A static is used through a pointer, because maps cannot be compared.
type static struct{ nodes map[string]Node }

func (d *static) Stat() (Attr, error) { return Attr{Mode: fs.ModeDir | 0o555}, nil }

func (d *static) May(cred Cred, want fs.FileMode) error {
	if attr, _ := d.Stat(); !attr.May(cred, want) {
		return syscall.EACCES
	}
	return nil
}

func (d *static) Lookup(name string) (Node, error) {
	if node := d.nodes[name]; node != nil {
		return node, nil
	}
	return nil, &fs.PathError{Op: "lookup", Path: name, Err: syscall.ENOENT}
}

func (d *static) Names() ([]string, error) { return slices.Sorted(maps.Keys(d.nodes)), nil }
