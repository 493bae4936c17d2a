//go:build !js

// On js the text of an errno begins with a capital.

package sysctl_test

import (
	"fmt"

	"github.com/kprim/kprim/sysctl"
)

// A rate limit with bounds and without a tree. A hot loop reads it, and a text changes it.
func ExampleVar_Set() {
	rate := sysctl.NewVar(2, sysctl.Between(1, 1000))
	serve := func() (served int) {
		for range 5 { // the requests of one second
			if served < rate.Load() { // an atomic load
				served++
			}
		}
		return served
	}
	fmt.Println("served:", serve())
	fmt.Println(rate.Set("4"), "served:", serve())
	fmt.Println(rate.Set("0"))
	fmt.Println(rate.Set("fast"))
	fmt.Println("served:", serve())
	// Output:
	// served: 2
	// <nil> served: 4
	// sysctl: 0 is not from 1 to 1000: invalid argument
	// sysctl: "fast" is not a number of type int: invalid argument
	// served: 4
}
