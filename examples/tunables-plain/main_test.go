package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/clients"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The output is the same as of tunables.
func TestTranscript(t *testing.T) {
	want, err := os.ReadFile("../tunables/testdata/transcript.txt")
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, clients.Session(&out, start))
	require.Equal(t, string(want), out.String())
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]string{"64K": "64KiB", "1536": "1536", "2M": "2MiB", "1024KiB": "1MiB", "0": "0"} {
		s, err := parseSize(text)
		require.NoError(t, err)
		require.Equal(t, want, s.String())
	}
	for _, text := range []string{"", "K", "1KK", "1.5G", "1x", "9999999999T"} {
		_, err := parseSize(text)
		require.Error(t, err, text)
	}
}
