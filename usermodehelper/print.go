package usermodehelper

import "fmt"

// MarshalText returns the text of [Mode.String], for log/slog and encoding/json.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MarshalText returns the text of [Status.String], for log/slog and encoding/json.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText returns the text of [Output.String], for log/slog and encoding/json.
func (o *Output) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// String returns how many helpers have passed the gate and how many wait for a
// place, as in
//
//	gate: 3 pending, 2 waiting, disabled
//
// A helper is pending until its Cleanup has returned.
func (g *Gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := fmt.Sprintf("gate: %d pending, %d waiting", g.pending, len(g.waiting))
	if g.disabled > 0 {
		text += ", disabled"
	}
	return text
}
