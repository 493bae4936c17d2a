//go:build darwin || freebsd

package usermodehelper

import "os/exec"

// startLimited starts cmd. A helper with Limits or Nice does not come so far.
func (h *Helper) startLimited(cmd *exec.Cmd) error { return cmd.Start() }
