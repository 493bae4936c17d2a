//go:build !linux || 386 || arm || mips || mipsle

package procfs

import (
	"errors"
	"fmt"

	"github.com/kprim/kprim/sysctl/vfs"
)

// A Server exists only on Linux with 64 bits.
type Server struct{}

// Mount needs Linux with 64 bits. Its error matches [errors.ErrUnsupported].
func Mount(string, vfs.Node, Options) (*Server, error) {
	return nil, fmt.Errorf("procfs: %w: a mount needs Linux with 64 bits", errors.ErrUnsupported)
}

// Close returns nil.
func (*Server) Close() error { return nil }

// Done returns nil, because no Server exists.
func (*Server) Done() <-chan struct{} { return nil }
