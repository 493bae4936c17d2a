package usermodehelper

import "time"

const CrewLinger = crewLinger

var (
	AwaitExit = awaitExit
	PollExit  = pollExit
)

// SetHang sets how long SIGKILL may take, and returns how to undo that.
func SetHang(d time.Duration) (undo func()) {
	before := hang
	hang = d
	return func() { hang = before }
}
