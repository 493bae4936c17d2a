//go:build !linux && !darwin && !freebsd

package usermodehelper_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Here every call is refused for the same reason.
func requireInvalid(t *testing.T, err error, _ string) {
	t.Helper()
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
