package sysctl

import (
	"fmt"
	"strings"
)

// String returns the name of the constant, as in "Root", and for another value the
// number, as in "Cred(7)".
func (c Cred) String() string {
	switch c {
	case Nobody:
		return "Nobody"
	case Group:
		return "Group"
	case Root:
		return "Root"
	}
	return fmt.Sprintf("Cred(%d)", uint8(c))
}

// MarshalText returns the text of [Cred.String], for log/slog and encoding/json.
func (c Cred) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String returns the name of the constant, as in "Strict", and for another value
// the number, as in "WriteMode(7)".
func (m WriteMode) String() string {
	switch m {
	case Legacy:
		return "Legacy"
	case Warn:
		return "Warn"
	case Strict:
		return "Strict"
	}
	return fmt.Sprintf("WriteMode(%d)", int32(m))
}

// MarshalText returns the text of [WriteMode.String], for log/slog and
// encoding/json.
func (m WriteMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// eventNames are in the order of the bits.
var eventNames = []struct {
	bit  PollEvents
	name string
}{
	{PollIn, "PollIn"}, {PollPri, "PollPri"}, {PollOut, "PollOut"}, {PollErr, "PollErr"},
	{PollHup, "PollHup"}, {PollRdNorm, "PollRdNorm"}, {PollWrNorm, "PollWrNorm"},
}

// String returns the names of the constants, as in "PollIn|PollRdNorm". Bits without
// a name are one number, as in "PollIn|0x2000". Without any bit it returns "none".
func (e PollEvents) String() string {
	var names []string
	for _, n := range eventNames {
		if e&n.bit != 0 {
			names = append(names, n.name)
			e &^= n.bit
		}
	}
	switch {
	case e != 0:
		names = append(names, fmt.Sprintf("%#x", uint16(e)))
	case names == nil:
		return "none"
	}
	return strings.Join(names, "|")
}

// MarshalText returns the text of [PollEvents.String], for log/slog and
// encoding/json.
func (e PollEvents) MarshalText() ([]byte, error) { return []byte(e.String()), nil }
