package sysctl

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Between returns a check for a [Var]: a value is at least min and at most max. Nothing
// passes if min is above max, so Register refuses such a Var. NaN does not pass.
//
// Kernel: extra1 and extra2 of struct ctl_table
func Between[T cmp.Ordered](min, max T) func(old, new T) error {
	return func(_, v T) error {
		switch {
		case v >= min && v <= max: // a NaN is neither
			return nil
		case min > max:
			return fmt.Errorf("the bounds are the wrong way round: from %v to %v", min, max)
		}
		return fmt.Errorf("%s is not from %v to %v", visible(fmt.Sprint(v)), min, max)
	}
}

// OneOf returns a check for a [Var]: a value is one of these.
func OneOf[T comparable](values ...T) func(old, new T) error {
	return func(_, v T) error {
		if slices.Contains(values, v) {
			return nil
		}
		words := strings.Trim(fmt.Sprint(values), "[]")
		return fmt.Errorf("%s is not one of: %s", visible(fmt.Sprint(v)), words)
	}
}

// MaxLen returns a check for a [Var]: a text has at most n bytes. A longer one is refused,
// where [DoString] cuts it.
func MaxLen(n int) func(old, new string) error {
	return func(_, v string) error {
		if len(v) <= n {
			return nil
		}
		return fmt.Errorf("%d bytes are more than %d", len(v), n)
	}
}

// Matches returns a check for a [Var]: a text matches the regular expression as a whole.
// It panics if expr is not one, as [regexp.MustCompile] does.
func Matches(expr string) func(old, new string) error {
	re := regexp.MustCompile(`^(?:` + expr + `)$`)
	return func(_, v string) error {
		if re.MatchString(v) {
			return nil
		}
		return errors.New(visible(fmt.Sprintf("%q does not match %s", v, expr)))
	}
}
