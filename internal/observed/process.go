package observed

import "github.com/kprim/kprim/sysctl"

// InProcess is a [System] that does system calls by a Tree.
type InProcess struct{ Tree *sysctl.Tree }

// Open implements [System].
func (s InProcess) Open(entry string, flag int) (File, error) {
	f, err := s.Tree.OpenFile(sysctl.Root, entry, flag)
	return opened{f}, err
}

// Text implements [System].
func (s InProcess) Text(entry string) []byte { return must(s.Tree.ReadFile(sysctl.Root, entry)) }

// An opened file needs no close.
type opened struct{ *sysctl.File }

func (opened) Close() error { return nil }
