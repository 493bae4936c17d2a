package usermodehelper

import (
	"runtime"
	"syscall"
)

// lastSignal returns the highest number of a signal.
func lastSignal() syscall.Signal {
	switch runtime.GOOS {
	case "darwin", "ios":
		return 31
	case "freebsd":
		return 126
	}
	return 64
}

func (h *Helper) checkStop() error {
	if h.Stop < 0 || h.Stop > lastSignal() {
		return h.invalid("Stop is %d, which is no signal", int(h.Stop))
	}
	return nil
}

// stopSignal returns the signal that asks the helper to end.
func (h *Helper) stopSignal() syscall.Signal {
	if h.Stop == 0 {
		return syscall.SIGTERM
	}
	return h.Stop
}
