package sysctl_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// A value prints as words alone, in a struct, in a slice, and in both forms of a
// log. The zero value and bits without a name do as well.
func TestValuesPrintAsWords(t *testing.T) {
	for want, v := range map[string]any{
		"Nobody": sysctl.Cred(0), "Group": sysctl.Group, "Root": sysctl.Root, "Cred(3)": sysctl.Cred(3), "Cred(255)": sysctl.Cred(255),
		"Legacy": sysctl.Legacy, "Warn": sysctl.WriteMode(0), "Strict": new(sysctl.Tree).WriteMode(),
		"WriteMode(2)": sysctl.WriteMode(2), "WriteMode(-2)": sysctl.WriteMode(-2), "WriteMode(-2147483648)": sysctl.WriteMode(-1 << 31),
	} {
		for _, verb := range []string{"%v", "%s", "%+v"} {
			require.Equal(t, want, fmt.Sprintf(verb, v), verb)
			require.Contains(t, fmt.Sprintf(verb, struct{ V any }{v}), want)
		}
		require.Equal(t, "["+want+"]", fmt.Sprint([]any{v}))
		require.Equal(t, fmt.Sprintf("%q", want), fmt.Sprintf("%q", v))

		var text, js bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("m", "v", v, "in", struct{ V any }{v})
		require.Regexp(t, ` v="?`+regexp.QuoteMeta(want)+`"?\n$`, text.String())
		var line struct {
			V  string
			In struct{ V string }
		}
		require.NoError(t, json.Unmarshal(js.Bytes(), &line), js.String())
		require.Equal(t, want, line.V)
		require.Equal(t, want, line.In.V)
	}
	require.Equal(t, "2", fmt.Sprintf("%d", sysctl.Root), "a number is still to be had")
	require.Contains(t, fmt.Sprintf("%+v", sysctl.Request{Cred: sysctl.Root}), "Cred:Root")
}
