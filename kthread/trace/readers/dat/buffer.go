package dat

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

const (
	pageSize  = 4096
	pageStart = 16 // its time and the size of its data
	maxDelta  = 1<<27 - 1
)

// A buffer is the ring buffer of one CPU: pages of records. Each record has its distance in
// nanoseconds from the one before, in 27 bits. After a longer time a new page begins, because a
// page has the whole time.
type buffer struct {
	pages [][]byte // each grows up to pageSize
	last  uint64   // the time of the last record
}

// add adds a record, which must not be earlier than the one before.
func (b *buffer) add(at uint64, record []byte) error {
	words := (len(record) + 3) / 4
	size := 8 + 4*words
	if size > pageSize-pageStart {
		return fmt.Errorf("a record of %d bytes does not fit in a page", len(record))
	}
	if at < b.last {
		return fmt.Errorf("the time goes back")
	}
	if n := len(b.pages); n == 0 || at-b.last > maxDelta || len(b.pages[n-1])+size > pageSize {
		b.pages = append(b.pages, binary.LittleEndian.AppendUint64(make([]byte, 0, pageSize), at)[:pageStart])
		b.last = at
	}
	page := &b.pages[len(b.pages)-1]
	// A length of 0 in the lower 5 bits says that the next word has the length, with itself.
	*page = binary.LittleEndian.AppendUint32(*page, uint32(at-b.last)<<5)
	*page = binary.LittleEndian.AppendUint32(*page, uint32(4+4*words))
	*page = append(*page, record...)
	*page = append(*page, make([]byte, 4*words-len(record))...)
	binary.LittleEndian.PutUint64((*page)[8:], uint64(len(*page)-pageStart))
	b.last = at
	return nil
}

// headerPage describes a page to trace-cmd.
const headerPage = `	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:1;
`

// bytes returns the file.
func (f *file) bytes() []byte {
	b := []byte("\x17\x08\x44tracing6\x00\x00\x08") // little endian, long has 8 bytes
	b = binary.LittleEndian.AppendUint32(b, pageSize)
	b = appendSized(append(b, "header_page\x00"...), headerPage)
	b = appendSized(append(b, "header_event\x00"...), "")
	b = binary.LittleEndian.AppendUint32(b, 0) // no events of ftrace's own
	b = binary.LittleEndian.AppendUint32(b, uint32(len(events)))
	for i, e := range events { // each in a system of its own, as to the file
		b = append(append(b, e.system...), 0)
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = appendSized(b, e.format(firstNumber+i))
	}
	b = binary.LittleEndian.AppendUint32(b, 0) // no addresses of functions
	b = binary.LittleEndian.AppendUint32(b, 0) // no formats of printk
	comms := ""
	for _, pid := range slices.Sorted(maps.Keys(f.comms)) {
		comms += fmt.Sprintf("%d %s\n", pid, f.comms[pid])
	}
	b = appendSized(b, comms)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.cpus)))
	return f.appendPages(append(b, "flyrecord\x00"...))
}

// appendPages appends the place of the pages of each CPU, and the pages.
func (f *file) appendPages(b []byte) []byte {
	place := (len(b) + 16*len(f.cpus) + pageSize - 1) / pageSize * pageSize
	first := place
	for _, cpu := range f.cpus {
		size := pageSize * len(cpu.pages)
		b = binary.LittleEndian.AppendUint64(b, uint64(place))
		b = binary.LittleEndian.AppendUint64(b, uint64(size))
		place += size
	}
	b = append(b, make([]byte, first-len(b))...)
	for _, cpu := range f.cpus {
		for _, page := range cpu.pages {
			b = append(b, page[:pageSize]...)
		}
	}
	return b
}

func appendSized(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(text))), text...)
}
