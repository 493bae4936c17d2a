package waitqueue_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Vet reports code that copies a value of this package.
func TestVetSeesCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go vet")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"Queue", "Cond", "Completion", "Task", "Entry"} {
		program := "package main\n\nimport \"github.com/kprim/kprim/waitqueue\"\n\n" +
			"func take(waitqueue." + name + ") {}\n\nfunc main() { var v waitqueue." + name + "; take(v) }\n"
		file := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
		out, err := exec.Command("go", "vet", file).CombinedOutput()
		require.Error(t, err, name)
		require.Contains(t, string(out), "passes lock by value: github.com/kprim/kprim/waitqueue."+name)
	}
}
