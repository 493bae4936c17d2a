package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program runs many times in this process, and prints the same each time.
func TestTranscript(t *testing.T) {
	want, err := os.ReadFile("testdata/transcript.txt")
	require.NoError(t, err)
	for range 200 {
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, string(want), out.String())
	}
}

// blocks returns the code blocks of the README in the language lang.
func blocks(t *testing.T, lang string) (found []string) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, part := range strings.Split(string(readme), "```"+lang+"\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		found = append(found, block)
	}
	return found
}

func TestReadmeShowsTheTranscript(t *testing.T) {
	want, err := os.ReadFile("testdata/transcript.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), blocks(t, "text")[0])
}
