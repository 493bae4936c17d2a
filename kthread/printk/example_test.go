package printk_test

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/kprim/kprim/kthread/printk"
	"github.com/kprim/kprim/sysctl"
)

func Example() {
	log := &printk.Log{Console: os.Stdout, ConsoleLevel: printk.Loglevel(5), Mark: "kernel: "}
	program := slog.New(log)
	program.Info("scrub starts", "disk", "sda1") // not on the console
	program.Warn("block is bad", "disk", "sda1", "block", 9527)
	log.Printk("%d of %d blocks are bad\n", 1, 10000)

	os.Stdout.WriteString("# dmesg\n")
	_, _ = log.WriteTo(os.Stdout)
	// Output:
	// kernel: block is bad disk=sda1 block=9527
	// kernel: 1 of 10000 blocks are bad
	// # dmesg
	// kernel: scrub starts disk=sda1
	// kernel: block is bad disk=sda1 block=9527
	// kernel: 1 of 10000 blocks are bad
}

// A consoleLevel is the first number of kernel.printk, as a tunable.
type consoleLevel struct{ sysctl.Var[int] }

func (c *consoleLevel) Level() slog.Level { return printk.Loglevel(c.Load()).Level() }

// The level of the console changes while the program runs.
func ExampleLoglevel() {
	var level consoleLevel
	level.Store(5)
	var tree sysctl.Tree
	if _, err := tree.Register("kernel", sysctl.Entry{Name: "printk", Mode: 0o644, Handler: &level}); err != nil {
		fmt.Println(err)
	}
	log := slog.New(&printk.Log{Console: os.Stdout, ConsoleLevel: &level, Mark: "kernel: "})
	log.Info("is up") // number 6
	if err := tree.WriteFile(sysctl.Root, "kernel/printk", []byte("7")); err != nil {
		fmt.Println(err)
	}
	log.Info("is still up")
	// Output:
	// kernel: is still up
}
