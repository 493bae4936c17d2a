//go:build !linux && !darwin && !freebsd

package usermodehelper

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// start fails: there are no process groups here, so nothing of what the
// package promises about the end of a helper could be kept.
func (h *Helper) start(context.Context) (*exec.Cmd, error) {
	return nil, fmt.Errorf("usermodehelper: %s: %w", h.Path, errors.ErrUnsupported)
}

func (h *Helper) wait(context.Context, *exec.Cmd) (Status, error) {
	return 0, errors.ErrUnsupported
}
