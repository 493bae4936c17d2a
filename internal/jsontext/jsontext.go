// Package jsontext shows texts of a sysctl tree in JSON, for the views of a tree. No other
// module can import it.
package jsontext

import (
	"bytes"
	"encoding/json"

	"github.com/kprim/kprim/sysctl"
)

// Of returns the text of an entry as JSON. If the texts of its handler mean JSON, as 5 and
// true do, the text is that JSON. All other texts are strings, without the newline at the
// end. A float that is not a number is a string too, because JSON has no NaN.
func Of(h sysctl.Handler, text []byte) json.RawMessage {
	text = bytes.TrimSuffix(text, []byte("\n"))
	if j, ok := h.(interface{ TextIsJSON() bool }); ok && j.TextIsJSON() && json.Valid(text) {
		return text
	}
	quoted, _ := json.Marshal(string(text)) // a string has no error
	return quoted
}
