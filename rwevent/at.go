package rwevent

// yield, if not nil, is called between the steps of a post, a close and a wait,
// with no lock held. The tests that go through every interleaving stop goroutines
// there.
var yield func(point string)

func at(point string) {
	if yield != nil {
		yield(point)
	}
}
