//go:build !linux && !darwin && !freebsd

package usermodehelper

import (
	"context"
	"errors"
)

// There are no process groups here, so the package could not keep its promises about
// the end of a helper. Nothing below is ever reached.
const supported = false

type process struct{ pid int }

func (h *Helper) launch(context.Context) (*process, error) { return nil, errors.ErrUnsupported }

func (p *process) fail(*fault) {}

func (p *process) wait() Result { return Result{} }

func (p *process) goOn() {}
