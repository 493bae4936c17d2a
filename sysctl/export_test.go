package sysctl

// What handlers do with their variables, so that a test can be in the middle of it.

func (i *Ints) Change(f func([]int32) int) { i.change(f) }

func (s *String) Change(f func(string) (string, bool)) { s.change(f) }

func (b *Bitmap) Change(first, last int, f func([]uint64, int, int)) { b.change(first, last, f) }
