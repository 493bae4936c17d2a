package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ktrace runs the command in the root of the module.
func ktrace(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Chdir("../..")
	var out, message bytes.Buffer
	err = run(args, strings.NewReader(stdin), &out, &message)
	return out.String(), message.String(), err
}

const sample = "examples/thundering-herd/testdata/broken.ftrace"

// Each README that names a command of ktrace shows the output of that command.
func TestReadmesShowThePictures(t *testing.T) {
	readmes, err := filepath.Glob("../*/README.md")
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)\n    go run \\./examples/ktrace ([^\n]*)\n\n```text\n(.*?)```\n")
	pictures := 0
	for _, readme := range readmes {
		text, err := os.ReadFile(readme)
		require.NoError(t, err)
		for _, m := range shown.FindAllStringSubmatch(string(text), -1) {
			t.Run(m[1], func(t *testing.T) {
				stdout, stderr, err := ktrace(t, "", strings.Fields(m[1])...)
				require.NoError(t, err)
				require.Empty(t, stderr)
				require.Equal(t, m[2], stdout)
				pictures++
			})
		}
	}
	require.GreaterOrEqual(t, pictures, 17, "two of each failure, and one of its own")
}

func TestTraceFromStandardInput(t *testing.T) {
	text, err := os.ReadFile("../../" + sample)
	require.NoError(t, err)
	want, _, err := ktrace(t, "", sample)
	require.NoError(t, err)
	for _, args := range [][]string{nil, {"-"}} {
		var got bytes.Buffer
		require.NoError(t, run(args, bytes.NewReader(text), &got, io.Discard))
		require.Equal(t, want, got.String())
	}
}

func TestWidth(t *testing.T) {
	for _, width := range []int{60, 120} {
		t.Run(strconv.Itoa(width), func(t *testing.T) {
			stdout, _, err := ktrace(t, "", "-width", strconv.Itoa(width), sample)
			require.NoError(t, err)
			line, _, _ := strings.Cut(stdout, "\n")
			require.Len(t, line, width)
		})
	}
}

func TestSVGIsXML(t *testing.T) {
	stdout, _, err := ktrace(t, "", "-svg", "-steps", sample)
	require.NoError(t, err)
	d := xml.NewDecoder(strings.NewReader(stdout))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			require.NotEqual(t, "script", e.Name.Local)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		stdin       string
		args        []string
		err, stderr string
	}{
		{args: []string{"-h"}, err: flag.ErrHelp.Error(), stderr: usage},
		{args: []string{"-z"}, err: "wrong arguments", stderr: "flag provided but not defined: -z\n" + usage},
		{args: []string{"a", "b"}, err: "wrong arguments", stderr: "ktrace: 2 files, and at most one is possible\n" + usage},
		{args: []string{"-width", "0"}, err: "wrong arguments", stderr: "ktrace: a width of 0 columns, and 1 to 10000 are possible\n" + usage},
		{args: []string{"-width", "1000000000000"}, err: "wrong arguments", stderr: "ktrace: a width of 1000000000000 columns, and 1 to 10000 are possible\n" + usage},
		{args: []string{"-width", "x"}, err: "wrong arguments", stderr: "invalid value \"x\" for flag -width: parse error\n" + usage},
		{args: []string{""}, err: "open : no such file or directory"},
		{args: []string{"none"}, err: "open none: no such file or directory"},
		{err: "picture: the text has no event of a thread"},
		{stdin: "# tracer: nop\nhello\n", err: "picture: line 2: no line of ftrace text: \"hello\""},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			stdout, stderr, err := ktrace(t, test.stdin, test.args...)
			require.EqualError(t, err, test.err)
			require.Empty(t, stdout)
			if test.stderr == "" {
				require.Empty(t, stderr)
			} else {
				require.True(t, strings.HasPrefix(stderr, test.stderr), stderr)
			}
		})
	}
}
