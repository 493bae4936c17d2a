package sysctl

import "fmt"

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
