//go:build !linux

package procfs

import (
	"errors"
	"fmt"

	"github.com/kprim/kprim/sysctl/vfs"
)

// A Server exists only on Linux.
type Server struct{}

// Mount needs Linux. Its error matches [errors.ErrUnsupported].
func Mount(string, vfs.Node, Options) (*Server, error) {
	return nil, fmt.Errorf("procfs: %w: a mount needs Linux", errors.ErrUnsupported)
}

// Close returns nil.
func (*Server) Close() error { return nil }

// Done returns nil, because no Server exists.
func (*Server) Done() <-chan struct{} { return nil }
