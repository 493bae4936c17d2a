// Procfs-demo mounts /proc/sleep of article 3, and the sysctls of articles 1 and 2, so that
// real processes use them. It prints one line for each of their steps, after the use count
// of /sleep.
//
//	procfs-demo DIR
//
// It makes DIR if that is missing, and unmounts it on SIGINT, SIGTERM and SIGHUP. It reads
// no input. The exit code is 1 if it cannot mount, and 2 if the arguments are wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] == "" || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: procfs-demo DIR")
		os.Exit(2)
	}
	if err := demo(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "procfs-demo:", err)
		os.Exit(1)
	}
}

// Package syscall has no names for these signals on every system.
const sighup, sigpipe = syscall.Signal(1), syscall.Signal(13)

// demo mounts the files at dir, and serves them.
func demo(dir string) (err error) {
	// Each of these signals would kill the program, and leave a mount that no server
	// answers. SIGPIPE comes when the reader of the lines has gone.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, sighup, sigpipe)
	defer stop()

	screen := log.New(os.Stdout, "", 0) // for all lines, so that they never mix
	sleep := newSleep(screen)
	helper, removeHelper, err := installHelper()
	if err != nil {
		return err
	}
	defer removeHelper()
	module, err := newModule(sleep.printk, helper)
	if err != nil {
		return err
	}
	removeDir, err := makeDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeDir()) }()
	root := vfs.Static(map[string]vfs.Node{"sleep": sleep, "kernel": module.kernel})
	server, err := procfs.Mount(dir, root, procfs.Options{ErrorLog: screen})
	if err != nil {
		return err
	}
	return serve(ctx, dir, server, module, sleep)
}

// serve serves until ctx ends, or until another process unmounts dir.
func serve(ctx context.Context, dir string, server *procfs.Server, module *module, sleep *sleep) error {
	sleep.printk("serving %s", dir)
	module.load(dir)
	select {
	case <-ctx.Done():
	case <-server.Done():
		sleep.printk("somebody else has unmounted %s", dir)
	}
	err := server.Close()
	module.unload()
	sleep.printk("/sleep: %d opens, %d releases", sleep.opens.Load(), sleep.releases.Load())
	return err
}

// makeDir makes dir if it is missing. Then remove removes it, and otherwise does nothing. If
// a killed server has left its mount at dir, dir counts as there.
func makeDir(dir string) (remove func() error, err error) {
	switch err := os.Mkdir(dir, 0o755); {
	case errors.Is(err, fs.ErrExist):
		return func() error { return nil }, nil
	case err != nil:
		return nil, err
	}
	return func() error { return os.Remove(dir) }, nil
}
