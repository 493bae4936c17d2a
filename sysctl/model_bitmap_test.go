package sysctl_test

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/kprim/kprim/sysctl"
)

// A modelBitmap has a bool for each number.
type modelBitmap struct{ has []bool }

func (m *modelBitmap) write(_ sysctl.WriteMode, pos int64, text string) modelResult {
	if text == "" || len(m.has) == 0 {
		return modelResult{0, pos, nil}
	}
	has := make([]bool, len(m.has))
	if pos != 0 {
		copy(has, m.has)
	}
	n, ok := len(text), false
	if len(text) <= modelPage {
		ok = m.short(text, has)
	} else {
		n, ok = m.long(text[:modelPage], has)
	}
	if !ok {
		return modelResult{0, pos, syscall.EINVAL}
	}
	m.has = has
	return modelResult{n, pos + int64(n), nil}
}

// short is a list that is looked at as a whole.
func (m *modelBitmap) short(text string, has []bool) bool {
	if !modelList.MatchString(text) {
		return false
	}
	for _, item := range modelItems.FindAllString(text, -1) {
		ends := []string{item, item}
		if r := modelRange.FindStringSubmatch(item); r != nil {
			ends = r[1:]
		}
		if !m.add(ends[0], ends[1], has) {
			return false
		}
	}
	return true
}

func (m *modelBitmap) add(first, last string, has []bool) bool {
	a, aMinus, aOK := parseModelNumber(first)
	b, bMinus, bOK := parseModelNumber(last)
	bits := big.NewInt(int64(len(has)))
	if !aOK || !bOK || aMinus || bMinus || a.Cmp(bits) >= 0 || b.Cmp(bits) >= 0 || a.Cmp(b) > 0 {
		return false
	}
	for i := a.Int64(); i <= b.Int64(); i++ {
		has[i] = true
	}
	return true
}

// long is a list that goes on after the last byte that a call looks at. An item that ends
// there, or with one byte more, is left.
func (m *modelBitmap) long(looked string, has []bool) (n int, ok bool) {
	newlines := func(at int) int {
		for at < len(looked) && looked[at] == '\n' {
			at++
		}
		return at
	}
	at := newlines(0)
	for at < len(looked) {
		_, _, end, ok := modelNumberAt(looked, at, "-,\n")
		if !ok {
			return 0, false
		}
		if len(looked)-end <= 1 {
			return at, true
		}
		first, last := looked[at:end], looked[at:end]
		if looked[end] == '-' {
			begin := end + 1
			if _, _, end, ok = modelNumberAt(looked, begin, ",\n\x00"); !ok {
				// The first bad item is the one that counts, but any bad item is an error.
				return 0, false
			}
			if end == len(looked) {
				// The kernel has looked at the first one already.
				return at, m.add(first, first, make([]bool, len(has)))
			}
			last = looked[begin:end]
		}
		if !m.add(first, last, has) {
			return 0, false
		}
		at = newlines(end + 1)
	}
	return at, true
}

func (m *modelBitmap) value() string {
	var list []string
	for n, is := range m.has {
		if is {
			list = append(list, fmt.Sprint(n))
		}
	}
	return strings.Join(list, " ")
}

func (m *modelBitmap) text() string {
	if len(m.has) == 0 {
		return ""
	}
	all := append(slices.Clone(m.has), false) // so that the last range ends
	var list []string
	for first := 0; first < len(all); first++ {
		last := first + slices.Index(all[first:], false) - 1
		switch {
		case last < first:
		case last == first:
			list = append(list, fmt.Sprint(first))
		default:
			list = append(list, fmt.Sprintf("%d-%d", first, last))
		}
		first = max(first, last)
	}
	return strings.Join(list, ",") + "\n"
}

func (m *modelBitmap) readAtOnce() bool { return true }

var (
	modelList = regexp.MustCompile(`^\n*(?:` + modelNumber + `(?:[,\n]\n*|$)|` +
		modelNumber + `-` + modelNumber + `(?:[,\n\x00]\n*|$))*$`)
	modelItems = regexp.MustCompile(`[^,\n\x00]+`)
	modelRange = regexp.MustCompile(`^(` + modelNumber + `)-(` + modelNumber + `)$`)
)
