//go:build unix

package readers_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	rtrace "runtime/trace"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	xtrace "golang.org/x/exp/trace"
)

// recordHerd runs a herd of four while package runtime/trace records.
func recordHerd(t *testing.T, h *herd) []byte {
	var record bytes.Buffer
	require.NoError(t, rtrace.Start(&record))
	defer rtrace.Stop() // the test may end early
	h.run(t, 4)
	rtrace.Stop()
	return record.Bytes()
}

// regions returns how many regions each user task has, by their names.
func regions(t *testing.T, record []byte) map[string]map[string]int {
	events, err := xtrace.NewReader(bytes.NewReader(record))
	require.NoError(t, err)
	names, counts := map[xtrace.TaskID]string{}, map[string]map[string]int{}
	for {
		e, err := events.ReadEvent()
		if errors.Is(err, io.EOF) {
			return counts
		}
		require.NoError(t, err)
		switch e.Kind() {
		case xtrace.EventTaskBegin:
			names[e.Task().ID] = e.Task().Type
			counts[e.Task().Type] = map[string]int{}
		case xtrace.EventRegionBegin:
			if name, ok := names[e.Region().Task]; ok {
				counts[name][e.Region().Type]++
			}
		}
	}
}

// Threads are user tasks, and each sleep that a waiter counted is a region.
func TestRuntimeTraceHasTasksAndRegions(t *testing.T) {
	for name, prepare := range herds {
		t.Run(name, func(t *testing.T) {
			h := &herd{prepare: prepare}
			got := regions(t, recordHerd(t, h))
			for i, sleeps := range h.sleeps {
				require.Equal(t, map[string]int{"sleep at doorbell": sleeps}, got[fmt.Sprintf("waiter/%d", i)])
			}
			require.Equal(t, map[string]int{"sleep at a queue without a name": 4}, got["producer"])
			require.Len(t, got, 5, "%v", slices.Collect(maps.Keys(got)))
		})
	}
}

// The pages of go tool trace list the tasks and the regions.
func TestGoToolTraceListsTasksAndRegions(t *testing.T) {
	h := &herd{prepare: herds["exclusive"]}
	url := startGoTool(t, recordHerd(t, h))
	tasks, regions := get(t, url+"/usertasks"), get(t, url+"/userregions")
	for _, name := range []string{"waiter/0", "waiter/1", "waiter/2", "waiter/3", "producer"} {
		require.Regexp(t, `<td>`+name+`</td>\s*<td><a [^>]*>1</a></td>`, tasks)
	}
	require.Regexp(t, `<a href="/userregion\?type=sleep%20at%20doorbell&[^>]*>4</a>`, regions)
}

// startGoTool runs go tool trace until the test ends.
func startGoTool(t *testing.T, record []byte) (url string) {
	path := filepath.Join(t.TempDir(), "record")
	require.NoError(t, os.WriteFile(path, record, 0o600))
	cmd := exec.Command("go", "tool", "trace", "-http=127.0.0.1:0", path)
	out, in, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stderr = in
	startGroup(t, cmd)
	require.NoError(t, in.Close())
	t.Cleanup(func() { _ = out.Close() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := regexp.MustCompile(`listening on (http://\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	t.Fatal("go tool trace does not listen")
	return ""
}

// get returns a page.
func get(t *testing.T, url string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	return string(body)
}
