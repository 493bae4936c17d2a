//go:build !js

// On js the text of an errno begins with a capital.

package sysctl_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kprim/kprim/sysctl"
)

// A program that reads its files again: a fault in one of them changes nothing. A listing
// shows each value with its source.
func ExampleSettings() {
	var tree sysctl.Tree
	_, err := tree.Register("app",
		sysctl.Entry{Name: "rate", Mode: 0o644, Handler: sysctl.NewVar(100, sysctl.Between(1, 1000)), Doc: "requests per second"},
		sysctl.Entry{Name: "burst", Mode: 0o644, Handler: sysctl.NewVar(10, sysctl.Between(1, 100)), Doc: "requests at once"})
	if err != nil {
		fmt.Println(err)
		return
	}
	reload := func(text string) error {
		var s sysctl.Settings
		s.Read("app.conf", strings.NewReader(text)) // or s.Dirs(nil, "/etc/app.d")
		return s.Apply(&tree, sysctl.Root)
	}

	fmt.Println(reload("# more\napp.rate = 500\n"))
	fmt.Println(reload("app.rate = 600\napp.burst = 600\napp.brust = 7\n"))
	_ = tree.Walk(func(path string, e sysctl.Entry) error {
		text, err := tree.ReadFile(sysctl.Root, path)
		fmt.Printf("%s = %s # %s, %q\n", sysctl.Key(path), strings.TrimSpace(string(text)), e.Doc, tree.Source(path))
		return err
	})
	// Output:
	// <nil>
	// sysctl: app.conf:2: write app/burst: 600 is not from 1 to 100: invalid argument
	// sysctl: app.conf:3: open app/brust: no such file or directory
	// app.burst = 10 # requests at once, ""
	// app.rate = 500 # requests per second, "app.conf:2"
}

// The caller replaces the file: the old one stays whole until the new one is.
func ExampleTree_Save() {
	motd := sysctl.NewVar("hello")
	var tree sysctl.Tree
	if _, err := tree.Register("app", sysctl.Entry{Name: "motd", Mode: 0o644, Handler: motd}); err != nil {
		fmt.Println(err)
		return
	}
	motd.Store("two\nlines ")

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "saved.conf")
	if err := saveTo(name, &tree); err != nil {
		fmt.Println(err)
		return
	}
	text, _ := os.ReadFile(name)
	fmt.Print(string(text))

	motd.Store("lost")
	fmt.Println(tree.Load(sysctl.Root, nil, name))
	fmt.Printf("%q\n", motd.Load())
	// Output:
	// app.motd := "two\nlines "
	// <nil>
	// "two\nlines "
}

func saveTo(name string, tree *sysctl.Tree) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".saved-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename
	err = tree.Save(sysctl.Root, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
