package printk

import (
	"log/slog"
	"math"
)

// The levels of the kernel, as levels of package slog.
//
// Kernel: KERN_EMERG, KERN_ALERT, KERN_CRIT, KERN_ERR, KERN_WARNING, KERN_NOTICE, KERN_INFO, KERN_DEBUG
//
// Differs: a higher level is more urgent.
const (
	Emerg   slog.Level = 20 // the program cannot go on
	Alert   slog.Level = 16 // an operator has to act at once
	Crit    slog.Level = 12
	Err                = slog.LevelError
	Warning            = slog.LevelWarn
	Notice  slog.Level = 2 // nothing is wrong, but it matters
	Info               = slog.LevelInfo
	Debug              = slog.LevelDebug
)

// levels has the levels by their numbers in the kernel.
var levels = [...]slog.Level{Emerg, Alert, Crit, Err, Warning, Notice, Info, Debug}

// Loglevel is a level of the console as the kernel writes it: the console shows the
// messages whose numbers are lower. So 7 shows Info and all above it, and 8 shows
// everything. Emerg is always shown: a number below 1 counts as 1.
//
// Kernel: console_loglevel, the first number of kernel.printk
type Loglevel int

// Level returns the lowest level that is shown. It implements [slog.Leveler].
func (n Loglevel) Level() slog.Level {
	if n > Loglevel(len(levels)-1) {
		return math.MinInt
	}
	return levels[max(n, 1)-1]
}

// atLeast returns the level of l, or another one if there is no l.
func atLeast(l slog.Leveler, none slog.Level) slog.Level {
	if l == nil {
		return none
	}
	return l.Level()
}
