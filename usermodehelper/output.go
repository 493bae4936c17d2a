package usermodehelper

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// An Output takes the bytes that a helper writes to its standard output and its
// standard error, in the order of writing. It keeps the first ones and the last ones,
// and passes all of them on as they come. The zero value is ready to use: it keeps
// the first 65,536 bytes. Bytes that are not kept are read and dropped, so the helper
// never waits for space. An Output must not be copied after first use.
//
// It is complete when Cleanup is called, and when Exec returns with WaitProc.
// Several helpers may share an Output, at once or one after the other: it then
// keeps the bytes of all of them. Writer can get the bytes of two helpers in another
// order than the Output keeps them.
//
// Calls of Writer and Line for one Output come one at a time, on goroutines of this
// package. Two Outputs call at the same time, so a Writer that they share needs a lock.
// The first call can come before Started. Calls may use the methods of the Output.
//
//   - A slow call holds up the helper when the pipe is full. It does not hold up
//     the end. When the helper or ctx has ended, the calls have Grace for the bytes
//     that are left. Then Exec goes on, and Broken is true. A call that is still
//     in progress is left behind. Its goroutine ends when it returns, and its
//     error is ignored.
//   - If Writer fails, the helper is ended as by a context. This helper's bytes are
//     no longer passed on, and Broken is true. The error of Exec matches the
//     Writer's error and [syscall.EIO]. If the helper has ended by itself by then,
//     nothing is signalled. A Writer that returns another number than the length of
//     the bytes has failed: a smaller one, from 0 on, gives
//     [io.ErrShortWrite].
//   - If a call panics or ends its goroutine, the helper is ended in the same way,
//     and the error matches [syscall.ECANCELED]. After Cleanup the panic goes on in
//     the goroutine that waits for the helper. With WaitProc that is the caller of
//     Exec. In the other modes the panic ends the program, and so it does if the
//     call was left behind.
type Output struct {
	Max  int // how many of the first bytes are kept; 0 means 65536, and a negative Max means none
	Tail int // how many of the last bytes after them are kept; 0 and a negative Tail mean none

	// Writer, if not nil, gets all bytes.
	Writer io.Writer

	// Line, if not nil, is called for each line without its newline, and for a last
	// line that has no newline. A line of more than 65,536 bytes comes in parts of
	// that size. Lines of several helpers are not mixed.
	Line func(line string)

	calls sync.Mutex // held during a call of Writer or Line; taken before mu

	mu     sync.Mutex
	head   []byte   // guarded by mu
	tail   []byte   // the bytes after head: at least the last Tail of them; guarded by mu
	after  int64    // how many bytes came after head; guarded by mu
	broken []string // why there may have been more bytes, or why a call did not get them; guarded by mu
}

// Bytes returns a copy of the bytes that were kept: the first ones and the last
// ones, without a mark between them.
func (o *Output) Bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Concat(o.head, o.end())
}

// Cut reports whether bytes may be missing: more was written than is kept, or
// Broken is true.
func (o *Output) Cut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost() > 0 || o.broken != nil
}

// Broken reports whether the bytes came to an early end, for Writer and Line too. A
// process that the helper had left behind held the output for too long: it was killed
// if it was in the helper's group. Or Writer or Line failed, or took too long.
func (o *Output) Broken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken != nil
}

// String returns the bytes that were kept. If Cut is true, there are notes in
// brackets at the places where bytes are missing, or may be.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := string(o.head)
	if lost := o.lost(); lost > 0 {
		text += fmt.Sprintf("[cut: %d bytes more]", lost)
	}
	text += string(o.end())
	if o.broken != nil {
		text += "[cut: " + strings.Join(o.broken, ", ") + "]"
	}
	return text
}

// end returns the last bytes after head. The caller holds mu.
func (o *Output) end() []byte {
	return o.tail[max(0, len(o.tail)-max(0, o.Tail)):]
}

// lost returns how many bytes were not kept. The caller holds mu.
func (o *Output) lost() int64 { return o.after - int64(len(o.end())) }

// add keeps as much of text as there is room for.
func (o *Output) add(text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := o.Max
	if limit == 0 {
		limit = 1 << 16
	}
	room := min(len(text), max(0, limit-len(o.head)))
	o.head = append(o.head, text[:room]...)
	o.addTail(text[room:])
}

// addTail drops the oldest bytes when there are twice as many as Tail, so each
// byte is moved about once.
func (o *Output) addTail(text []byte) {
	o.after += int64(len(text))
	o.tail = append(o.tail, text[max(0, len(text)-max(0, o.Tail)):]...)
	if len(o.tail)/2 >= o.Tail { // 2*o.Tail would overflow for a Tail that means all
		o.tail = append(o.tail[:0], o.end()...)
	}
}

// breakOff marks the output as cut.
func (o *Output) breakOff(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.broken, why) {
		o.broken = append(o.broken, why)
	}
}
