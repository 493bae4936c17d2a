package usermodehelper

import (
	"fmt"
	"runtime"
	"syscall"
)

// A Limit bounds how much of one resource a helper may use, as setrlimit(2) does.
// The units are the resource's: bytes, seconds, files and so on.
type Limit struct {
	Resource int    // a number RLIMIT_..., such as [syscall.RLIMIT_CPU]
	Soft     uint64 // the limit that counts; [math.MaxUint64] means no limit
	Hard     uint64 // up to which the helper may raise Soft; [math.MaxUint64] means no limit
}

// isLimited reports whether the program must be stopped before its first
// instruction.
func (h *Helper) isLimited() bool { return h.Nice != 0 || len(h.Limits) > 0 }

// checkLimits refuses limits that no kernel would take. Only the kernel knows which
// numbers are resources.
func (h *Helper) checkLimits() error {
	if !h.isLimited() {
		return nil
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "android" {
		return fmt.Errorf("usermodehelper: %s: Limits and Nice need Linux: %w", h.Path, syscall.EOPNOTSUPP)
	}
	if h.Nice < -39 || h.Nice > 39 { // from one end of the nice values to the other
		return h.invalid("Nice is %d, which is more than 39 steps", h.Nice)
	}
	seen := map[int]bool{}
	for i, l := range h.Limits {
		switch {
		case l.Soft > l.Hard:
			return h.invalid("Limits[%d] has a Soft above its Hard", i)
		case seen[l.Resource]:
			return h.invalid("Limits[%d] sets resource %d a second time", i, l.Resource)
		}
		seen[l.Resource] = true
	}
	return nil
}
