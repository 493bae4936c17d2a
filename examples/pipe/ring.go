package main

// A ring holds bytes in pages, as in the kernel. A page in use is a slot of the
// ring, even if it has one byte.
type ring struct {
	pages    [][]byte // the unread bytes of each slot in use; none is empty
	size     int      // slots
	pageSize int
}

func (r *ring) empty() bool { return len(r.pages) == 0 }      // pipe_empty
func (r *ring) full() bool  { return len(r.pages) == r.size } // pipe_full

// take is the part of anon_pipe_read that moves bytes to buf. A slot is free
// when its last byte is read.
func (r *ring) take(buf []byte) (n int) {
	for n < len(buf) && !r.empty() {
		chars := copy(buf[n:], r.pages[0])
		n += chars
		r.pages[0] = r.pages[0][chars:] // buf->offset += chars
		if len(r.pages[0]) == 0 {       // if (!buf->len)
			r.pages = r.pages[1:]
		}
	}
	return n
}

// merge is the beginning of anon_pipe_write. It puts the bytes that do not fill
// a page behind the bytes of the last slot, if all of them fit there. Room at
// the front of a page is not used again.
func (r *ring) merge(buf []byte) int {
	chars := len(buf) % r.pageSize // chars = total_len & (PAGE_SIZE-1)
	if r.empty() {
		return 0
	}
	last := &r.pages[len(r.pages)-1]
	if chars > cap(*last)-len(*last) { // offset + chars <= PAGE_SIZE
		return 0
	}
	*last = append(*last, buf[:chars]...)
	return chars
}

// add is the part of anon_pipe_write that puts bytes into a free slot, at most
// a page. So a write of a page or less is in one piece, even if others write
// too: PIPE_BUF is a page.
func (r *ring) add(buf []byte) int {
	page := make([]byte, 0, r.pageSize)
	page = append(page, buf[:min(len(buf), r.pageSize)]...)
	r.pages = append(r.pages, page)
	return len(page)
}
