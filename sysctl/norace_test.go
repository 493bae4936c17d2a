//go:build !race

package sysctl_test

const raceEnabled = false
