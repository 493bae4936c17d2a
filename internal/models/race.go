//go:build race

package models

// Race says whether the race detector is on, with which all is slower.
const Race = true
