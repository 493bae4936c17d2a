//go:build !race

package waitqueue_test

const raceEnabled = false
