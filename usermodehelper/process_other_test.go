//go:build !linux && !darwin && !freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/usermodehelper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What is no absolute path elsewhere need not be one here, so the reason of
// the refusal may be another than text.
func requireInvalid(t *testing.T, err error, _ string) {
	t.Helper()
	require.ErrorIs(t, err, syscall.EINVAL)
}

func TestUnsupported(t *testing.T) {
	path, err := os.Executable()
	require.NoError(t, err)
	_, err = usermodehelper.Call(context.Background(), path, nil, nil, usermodehelper.WaitProc)
	require.True(t, errors.Is(err, errors.ErrUnsupported))
}
