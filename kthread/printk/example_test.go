package printk_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/kprim/kprim/kthread"
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

// A message has the name of the thread that logs it.
func ExampleLog() {
	log := &printk.Log{Mark: "kernel: "}
	program := slog.New(log)
	thread := kthread.Run("flusher", func(cur *kthread.Current) error {
		program.InfoContext(cur.Context(), "is up")
		return nil
	})
	if err := thread.Wait(context.Background()); err != nil {
		fmt.Println(err)
	}
	program.Info("flusher has ended")
	_, _ = log.WriteTo(os.Stdout)
	// Output:
	// kernel: flusher: is up
	// kernel: flusher has ended
}

// A reader follows the log. It begins with the oldest message, and waits for the next one.
func ExampleReader() {
	log := &printk.Log{}
	program := slog.New(log)
	program.Warn("block is bad", "block", 9527)
	reader := log.Reader()
	show := func() {
		message, lost, err := reader.Next(context.Background())
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println(message.Level, message.Text, "lost before it:", lost)
	}
	show()
	go program.Info("scrub is over")
	show()
	// Output:
	// WARN block is bad block=9527 lost before it: 0
	// INFO scrub is over lost before it: 0
}

// Printk is for code that formats its messages, with any handler of package slog.
func ExamplePrintk() {
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	printk.Printk(handler, "%d of %d blocks are bad\n", 1, 10000)
	// Output: level=WARN msg="1 of 10000 blocks are bad"
}
