package sysctl_test

import (
	"os"

	"github.com/kprim/kprim/internal/paired"
)

func init() {
	realWays = append(realWays, paired.Way{Name: "proc-sys", Run: func(n int) {
		for range n {
			text, err := os.ReadFile("/proc/sys/kernel/ostype")
			if err != nil || string(text) != "Linux\n" {
				panic(err)
			}
		}
	}})
}
