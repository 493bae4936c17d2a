package usermodehelper_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func TestValuesPrintAsWords(t *testing.T) {
	shut := new(usermodehelper.Gate)
	require.NoError(t, shut.Disable(t.Context()))
	for text, v := range map[string]any{
		"exit status 3":                        usermodehelper.Status(3 << 8),
		"exit status 0":                        usermodehelper.Status(0),
		"WaitProc":                             usermodehelper.WaitProc,
		"Mode(7)":                              usermodehelper.Mode(7),
		"gate: 0 pending, 0 waiting":           new(usermodehelper.Gate),
		"gate: 0 pending, 0 waiting, disabled": shut,
	} {
		for _, format := range []string{"%v", "%s", "%+v"} {
			require.Equal(t, text, fmt.Sprintf(format, v))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		require.Contains(t, log.String(), text)
		if _, ok := v.(*usermodehelper.Gate); ok {
			continue // a struct that has one embedded is more than that in JSON
		}
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		quoted, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, `"`+text+`"`, string(quoted))
		require.Contains(t, log.String(), `"v":"`+text+`"`)
	}
}
