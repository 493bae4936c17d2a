package observed

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// A System does system calls, or the same in another way.
type System interface {
	// Open opens an entry as root.
	Open(entry string, flag int) (File, error)

	// Text is the text of a fresh read of the entry.
	Text(entry string) []byte
}

// A File is an open entry. One method is one system call.
type File interface {
	io.ReadWriteSeeker
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// A VectorWriter is a [File] that has writev(2). Other files write the joined pieces.
type VectorWriter interface {
	Writev(pieces [][]byte) (int, error)
}

// Run does a case by one of ops, or of [Ops]. An error is a fault of this case alone, also
// if it was a panic.
func (c Case) Run(s System, ops map[string]func(c Case, o *Outcome)) (o Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if do, ok := ops[c.Op]; ok {
		do(c, &o)
	} else {
		Ops[c.Op](c, s, &o)
	}
	if c.After != nil {
		o.After = s.Text(c.Entry)
	}
	o.After = append([]byte{}, o.After...) // never nil
	return o, nil
}

// Ops are operations by the names of the files. They need nothing but a [System].
var Ops = map[string]func(Case, System, *Outcome){
	"write":                 write(0),
	"write_O_APPEND":        write(os.O_APPEND),
	"write_O_TRUNC":         write(os.O_TRUNC),
	"write_O_CREAT_O_TRUNC": write(os.O_CREATE | os.O_TRUNC),
	"write_split":           split(false),
	"write_seek0_split":     split(true),
	"write_all":             withFile(os.O_WRONLY, writeAll),
	"pwrite": withFile(os.O_WRONLY, func(c Case, f File, o *Outcome) {
		o.Add(f.WriteAt(c.Inputs()[0], c.Offset))
		o.at(f)
	}),
	"lseek_write": withFile(os.O_WRONLY, func(c Case, f File, o *Outcome) {
		must(f.Seek(c.Offset, io.SeekStart))
		o.Add(f.Write(c.Inputs()[0]))
		o.at(f)
	}),
	"writev": withFile(os.O_WRONLY, func(c Case, f File, o *Outcome) {
		if v, ok := f.(VectorWriter); ok {
			o.Add(v.Writev(c.Inputs()))
		} else {
			o.Add(f.Write(bytes.Join(c.Inputs(), nil)))
		}
		o.at(f)
	}),
	"read": withFile(os.O_RDONLY, func(c Case, f File, o *Outcome) {
		for _, size := range many[int](c.Sizes) {
			o.read(f.Read, size)
			o.at(f)
		}
	}),
	"pread": withFile(os.O_RDONLY, func(c Case, f File, o *Outcome) {
		o.read(func(p []byte) (int, error) { return f.ReadAt(p, c.Offset) }, many[int](c.Sizes)[0])
	}),
	"rdwr_write_read_seek0_read_write": withFile(os.O_RDWR, func(c Case, f File, o *Outcome) {
		o.Add(f.Write(c.Inputs()[0]))
		o.read(f.Read, 4096)
		must(f.Seek(0, io.SeekStart))
		o.read(f.Read, 4096)
		o.Add(f.Write(c.Inputs()[0]))
	}),
	"creat_existing":      name("", os.O_WRONLY|os.O_CREATE),
	"creat_excl_existing": name("", os.O_WRONLY|os.O_CREATE|os.O_EXCL),
	"creat_beside":        name("-none", os.O_WRONLY|os.O_CREATE),
	"open_missing_beside": name("-none", os.O_RDONLY),
	"lookup_below_file":   name("/x", os.O_RDONLY),
	"lseek_end_0":         seek(0, io.SeekEnd),
	"lseek_end_5":         seek(5, io.SeekEnd),
	"lseek_set_neg":       seek(-1, io.SeekStart),
	"lseek_set_big":       seek(1<<40, io.SeekStart),
}

// withFile opens the entry for an operation.
func withFile(flag int, do func(Case, File, *Outcome)) func(Case, System, *Outcome) {
	return func(c Case, s System, o *Outcome) {
		f := must(s.Open(c.Entry, flag))
		defer f.Close()
		do(c, f, o)
	}
}

func write(flag int) func(Case, System, *Outcome) {
	return withFile(os.O_WRONLY|flag, func(c Case, f File, o *Outcome) {
		o.Add(f.Write(c.Inputs()[0]))
		o.at(f)
	})
}

func split(seek bool) func(Case, System, *Outcome) {
	return func(c Case, s System, o *Outcome) {
		f := must(s.Open(c.Entry, os.O_WRONLY))
		defer f.Close()
		for i, text := range c.Inputs() {
			if seek && i > 0 {
				must(f.Seek(0, io.SeekStart))
			}
			o.Add(f.Write(text))
			o.at(f)
			o.Between = append(o.Between, s.Text(c.Entry))
		}
	}
}

func writeAll(c Case, f File, o *Outcome) {
	for text := c.Inputs()[0]; ; {
		n, err := f.Write(text)
		o.Add(n, err)
		text = text[max(n, 0):]
		if n <= 0 || len(text) == 0 {
			return
		}
	}
}

// name opens a name that begins with the name of the entry.
func name(suffix string, flag int) func(Case, System, *Outcome) {
	return func(c Case, s System, o *Outcome) {
		f, err := s.Open(c.Entry+suffix, flag)
		o.Add(0, err)
		if err == nil {
			_ = f.Close()
		}
	}
}

func seek(offset int64, whence int) func(Case, System, *Outcome) {
	return withFile(os.O_RDWR, func(_ Case, f File, o *Outcome) { o.add(f.Seek(offset, whence)) })
}

// Dir is the directory of the entry.
func (c Case) Dir() string { return path.Dir(c.Entry) }

// Asks returns which step of the poll test the case is, and whether it asks only for
// PRI and ERR.
func (c Case) Asks() (step string, urgent bool) {
	step, asked, _ := strings.Cut(strings.Replace(c.What, "and once more", "and once more, PRI|ERR", 1), ", ")
	return step, strings.HasPrefix(cmp.Or(asked, "all"), "PRI")
}
