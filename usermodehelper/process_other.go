//go:build !linux && !darwin && !freebsd

package usermodehelper

import (
	"context"
	"errors"
	"os/exec"
)

// There are no process groups here, so nothing of what the package promises
// about the end of a helper could be kept. Nothing below is ever reached.
const supported = false

func (h *Helper) start(context.Context) (*exec.Cmd, error) { return nil, errors.ErrUnsupported }

func (h *Helper) wait(context.Context, *exec.Cmd) (Status, error) { return 0, errors.ErrUnsupported }
