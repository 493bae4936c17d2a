package vfs

import (
	"io/fs"
	"os"
)

// Rights that [Node.May] can ask for: the bits of one digit of a mode.
//
// Kernel: MAY_READ, MAY_WRITE, MAY_EXEC
const (
	MayRead  fs.FileMode = 4
	MayWrite fs.FileMode = 2
	MayExec  fs.FileMode = 1
)

// Rights explains the flags of an opening. It returns the rights that the opener needs,
// and the directions in which the file is then open. They differ in two cases: O_TRUNC needs
// the right to write; O_WRONLY and O_RDWR together need both rights, and open the file for
// nothing.
//
// Kernel: ACC_MODE, OPEN_FMODE
func Rights(flag int) (need, open fs.FileMode) {
	const neither = os.O_WRONLY | os.O_RDWR
	switch flag & neither {
	case os.O_RDONLY:
		need, open = MayRead, MayRead
	case os.O_WRONLY:
		need, open = MayWrite, MayWrite
	case os.O_RDWR:
		need, open = MayRead|MayWrite, MayRead|MayWrite
	case neither:
		need = MayRead | MayWrite
	}
	if flag&os.O_TRUNC != 0 {
		need |= MayWrite
	}
	return need, open
}
