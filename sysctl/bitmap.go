package sysctl

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
)

// A Bitmap is a variable that holds a set of small numbers. [NewBitmap] makes
// one. Has and Load cost one atomic load, and Load a copy. A method or a write changes
// the set all at once: a Load never sees a part of the change, and two changes at the
// same time are both kept. A Bitmap must not be copied after first use.
//
// Check and Changed are as in a [Var], with words in the form of Load's result. Both must
// leave the words as they are. A Bitmap is an [encoding.TextMarshaler] and an
// [encoding.TextUnmarshaler], and prints as a list of numbers and ranges.
//
// Kernel: an unsigned long array of bits, of which the data of a ctl_table holds the address
type Bitmap struct {
	Check   func(old, new []uint64) error // refuses a write
	Changed func(Change[[]uint64])        // is told of each change

	bits int
	cell cell[[]uint64]
}

// NewBitmap returns an empty set for the numbers from 0 to bits-1. It panics if bits
// is less than 0.
func NewBitmap(bits int) *Bitmap {
	if bits < 0 {
		panic(fmt.Sprintf("sysctl: NewBitmap(%d)", bits))
	}
	b := &Bitmap{bits: bits}
	words := b.empty()
	b.cell.p.Store(&words)
	return b
}

func (b *Bitmap) empty() []uint64 { return make([]uint64, (b.bits+63)/64) }

func (b *Bitmap) words() []uint64 { return b.cell.load() }

func (b *Bitmap) owner() owner[[]uint64] { return owner[[]uint64]{b.Check, b.Changed} }

// Has reports whether n is in the set.
//
// Kernel: test_bit
func (b *Bitmap) Has(n int) bool { return n >= 0 && n < b.bits && isSet(b.words(), n) }

func isSet(words []uint64, n int) bool { return words[n/64]>>(n%64)&1 != 0 }

// Load returns a copy of the set: n is in it if bit n%64 of word n/64 is set.
//
// Kernel: bitmap_to_arr64
func (b *Bitmap) Load() []uint64 { return slices.Clone(b.words()) }

// Store replaces the set. words have the form of Load's result; words that are missing
// at the end are 0. It panics if a number in the set is not within the bounds.
//
// Kernel: bitmap_from_arr64
//
// Differs: panics, where the kernel drops the numbers beyond the end.
func (b *Bitmap) Store(words []uint64) {
	for i, word := range words {
		if last := 64*i + bits.Len64(word) - 1; word != 0 && last >= b.bits {
			panic(fmt.Sprintf("sysctl: Bitmap.Store of %d, where there are %d bits", last, b.bits))
		}
	}
	all := b.empty()
	copy(all, words)
	b.store(func([]uint64) []uint64 { return all })
}

// Set puts the numbers from first to last into the set. It panics if they are
// not within the bounds.
//
// Kernel: bitmap_set
//
// Differs: takes the last one, where the kernel takes how many.
func (b *Bitmap) Set(first, last int) { b.change(first, last, setRange) }

// Clear takes the numbers from first to last out of the set. It panics if they
// are not within the bounds.
//
// Kernel: bitmap_clear
//
// Differs: as Set.
func (b *Bitmap) Clear(first, last int) {
	b.change(first, last, func(words []uint64, first, last int) {
		for n := first; n <= last; n++ {
			words[n/64] &^= 1 << (n % 64)
		}
	})
}

func (b *Bitmap) change(first, last int, f func(words []uint64, first, last int)) {
	if first < 0 || last >= b.bits || first > last {
		panic(fmt.Sprintf("sysctl: %d to %d, in a Bitmap of %d bits", first, last, b.bits))
	}
	b.store(func(old []uint64) []uint64 {
		words := slices.Clone(old)
		f(words, first, last)
		return words
	})
}

// store replaces the set for the program itself.
func (b *Bitmap) store(f func(old []uint64) []uint64) {
	// The error is nil, because nothing is checked.
	_ = b.cell.change(b.cell.byProgram("Store"), b.owner().unchecked(), func(old []uint64) ([]uint64, error) { return f(old), nil })
}

// String returns the set as a list of numbers and ranges in order, as in 1-3,7.
func (b *Bitmap) String() string {
	if b == nil || b.bits == 0 {
		return ""
	}
	return string(b.appendText(nil))
}

// MarshalText returns the text of String, for [encoding.TextMarshaler].
func (b *Bitmap) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText replaces the set, as a write does, for [encoding.TextUnmarshaler] and
// [flag.TextVar].
func (b *Bitmap) UnmarshalText(text []byte) error {
	words := b.empty()
	_, err := (&largeBitmap{b}).items(text, false, words)
	if err != nil {
		return named(err)
	}
	return named(b.cell.change(b.cell.byProgram("UnmarshalText"), b.owner(), func([]uint64) ([]uint64, error) { return words, nil }))
}

func setRange(words []uint64, first, last int) {
	for n := first; n <= last; n++ {
		words[n/64] |= 1 << (n % 64)
	}
}

// DoLargeBitmap makes a handler for a set that is written as a list: numbers,
// and ranges of two with a hyphen between them, separated by commas or newlines,
// with no blanks. A fault in the bytes that the call looks at is [syscall.EINVAL],
// and the call changes nothing.
//
// A write at position 0 replaces the set; an empty line empties it. A write at
// another position adds to the set, in every mode. One call looks at 4095 bytes. It
// uses a longer list up to the last complete item, and the caller writes the rest, as
// [Tree.WriteFile] does. A fault in the rest is found late: the items before it have
// replaced the old set by then.
//
// A read gives the list in order, with ranges as long as they can be, at
// position 0 only.
//
// Kernel: proc_do_large_bitmap
//
// Differs: Register refuses a nil data, where the kernel's entry does nothing. A bitmap of no bits does nothing here too.
func DoLargeBitmap(data *Bitmap) Handler { return &largeBitmap{data} }

type largeBitmap struct{ data *Bitmap }

func (h *largeBitmap) fault() error {
	if h.data == nil {
		return errNoData
	}
	return startFault(h.data.Check, h.data.Load())
}

func (h *largeBitmap) Read(r *Request, p []byte) (int, error) {
	if h.data.bits == 0 {
		return 0, nil
	}
	return readText(r, p, func(text []byte) []byte { return append(h.data.appendText(text), '\n') })
}

// appendText appends the list.
func (b *Bitmap) appendText(text []byte) []byte {
	words := b.words() // once: all of the text is from one write
	begin := len(text)
	for n := 0; n < b.bits; n++ {
		if !isSet(words, n) {
			continue
		}
		first := n
		for n+1 < b.bits && isSet(words, n+1) {
			n++
		}
		if len(text) > begin {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(first), 10)
		if n > first {
			text = strconv.AppendInt(append(text, '-'), int64(n), 10)
		}
	}
	return text
}

func (h *largeBitmap) Write(r *Request, p []byte) (int, error) {
	if len(p) == 0 || h.data.bits == 0 {
		return 0, nil
	}
	words := h.data.empty()
	rest, err := h.items(p[:min(len(p), window)], len(p) > window, words)
	if err != nil {
		return 0, err
	}
	err = h.data.cell.change(r, h.data.owner(), func(old []uint64) ([]uint64, error) {
		if r.Pos != 0 {
			for i, word := range old {
				words[i] |= word
			}
		}
		return words, nil
	})
	if err != nil {
		return 0, err
	}
	used := min(len(p), window) - len(rest)
	r.Pos += int64(used)
	return used, nil
}

// items puts the items of the list into words. If the text goes on after p, items
// leaves the last item to the next call, because the item may be cut.
func (h *largeBitmap) items(p []byte, more bool, words []uint64) (rest []byte, err error) {
	p = skipNewlines(p)
	for len(p) > 0 {
		item := p
		var first, last uint64
		first, p, err = h.number(p, func(c byte) bool { return c == '-' || c == ',' || c == '\n' })
		if more && len(p) <= 1 && len(p) < len(item) { // text that is not a number takes nothing
			return item, nil
		}
		if err != nil {
			return p, err
		}
		last = first
		var after byte
		if len(p) > 0 {
			after, p = p[0], p[1:]
		}
		if after == '-' {
			last, p, err = h.number(p, func(c byte) bool { return c == ',' || c == '\n' || c == 0 })
			if more && len(p) == 0 {
				return item, nil
			}
			if err != nil {
				return p, err
			}
			if first > last {
				return p, invalid("%d-%d is not a range", first, last)
			}
			if len(p) > 0 {
				p = p[1:]
			}
		}
		setRange(words, int(first), int(last))
		p = skipNewlines(p)
	}
	return p, nil
}

// number takes a number that can be in the set.
func (h *largeBitmap) number(p []byte, follows func(byte) bool) (uint64, []byte, error) {
	f, rest, err := number(p, follows)
	if err == nil {
		err = f.unsigned()
	}
	if err == nil && f.magnitude >= uint64(h.data.bits) { // also of the zero Bitmap, which has no bits
		err = invalid("%d is not from 0 to %d", f.magnitude, h.data.bits-1)
	}
	return f.magnitude, rest, err
}

func skipNewlines(p []byte) []byte { return bytes.TrimLeft(p, "\n") }
