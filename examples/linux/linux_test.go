// Package linux_test has the modules of the articles print on a real kernel.
package linux_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/linux/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The kernel prints the lines of each printed.txt, twice in one boot.
//
//	REQUIRE_QEMU=1 go test ./examples/linux -run Kernel -v
func TestTheKernelPrintsEachPrintedTxt(t *testing.T) {
	if os.Getenv("REQUIRE_QEMU") == "" {
		t.Skip("REQUIRE_QEMU=1 boots a kernel in QEMU, which takes some minutes")
	}
	boot := exec.Command("./boot")
	boot.Stderr = os.Stderr
	out, err := boot.Output()
	require.NoError(t, err)
	t.Logf("%s", out)
	release, sessions, err := console.Sessions(string(out))
	require.NoError(t, err)
	pages, err := filepath.Glob("../*/linux/printed.txt")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		article := strings.Split(filepath.ToSlash(page), "/")[1]
		t.Run(article, func(t *testing.T) {
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			require.Contains(t, string(text), "Linux "+release, "the page names the kernel")
			require.Len(t, sessions[article], 2, "sessions")
			for _, session := range sessions[article] {
				require.Equal(t, console.Printed(string(text)), session)
			}
		})
	}
}
