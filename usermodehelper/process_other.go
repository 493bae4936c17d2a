//go:build !linux && !darwin && !freebsd

package usermodehelper

import (
	"context"
	"errors"
)

// There are no process groups here, so nothing of what the package promises
// about the end of a helper could be kept. Nothing below is ever reached.
const supported = false

type process struct{ pid int }

func (h *Helper) launch(context.Context) (*process, error) { return nil, errors.ErrUnsupported }

func (p *process) wait(context.Context) (Status, error) { return 0, errors.ErrUnsupported }
