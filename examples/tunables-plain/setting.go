package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A setting is a value that may change while the daemon runs.
type setting struct {
	name, doc string
	mode      os.FileMode
	start     string // the default
	value     func() any
	text      func() string
	check     func(text string) error
	store     func(text, by string) error // nil for a read-only setting

	mu sync.Mutex // held during a change, so the log has the order of the changes
	by string     // where the value was set; guarded by mu
}

// set changes the value.
func (s *setting) set(text, by string) error {
	if s.store == nil {
		return fmt.Errorf("write %s: it can only be read", s.name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.store(text, by); err != nil {
		return fmt.Errorf("write %s: %w", s.name, err)
	}
	s.by = by
	return nil
}

func (s *setting) setBy() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by
}

func between[T cmp.Ordered](min, max T) func(T) error {
	return func(v T) error {
		if v >= min && v <= max {
			return nil
		}
		return fmt.Errorf("%v is not from %v to %v", v, min, max)
	}
}

func maxLen(n int) func(string) error {
	return func(v string) error {
		if len(v) <= n {
			return nil
		}
		return fmt.Errorf("%d bytes are more than %d", len(v), n)
	}
}

// format returns a text that the parsers below accept.
func format(value any) string {
	prefixes, ok := value.([]netip.Prefix)
	if !ok {
		return fmt.Sprint(value)
	}
	var words []string
	for _, p := range prefixes {
		words = append(words, p.String())
	}
	return strings.Join(words, ",")
}

func parseString(text string) (string, error) { return text, nil }

func parseInt(text string) (int, error) { return strconv.Atoi(text) }

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func parseLevel(text string) (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(text))
	return level, err
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is not on or off", text)
}

func parsePrefixes(text string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	if text == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// A size is a number of bytes, with a suffix in its text.
type size int64

const units = "KMGT"

func (s size) String() string {
	unit := ""
	for i := 0; s != 0 && s%1024 == 0 && i < len(units); i++ {
		s /= 1024
		unit = units[i:i+1] + "iB"
	}
	return strconv.FormatInt(int64(s), 10) + unit
}

func parseSize(text string) (size, error) {
	number := strings.TrimRight(text, units+"iB")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size", text)
	}
	suffix := strings.TrimSuffix(strings.TrimSuffix(text[len(number):], "B"), "i")
	if suffix == "" {
		return size(n), nil
	}
	i := strings.Index(units, suffix)
	if i < 0 || len(suffix) > 1 {
		return 0, fmt.Errorf("%q has an unknown suffix", text)
	}
	shift := 10 * (i + 1)
	if n<<shift>>shift != n {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return size(n << shift), nil
}
