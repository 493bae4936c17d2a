package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// load takes the settings of all files in app.d. If one of them is wrong, it takes none.
func (d *daemon) load() error {
	names, err := filepath.Glob(filepath.Join(d.dir, "app.d", "*.conf"))
	if err != nil {
		return err
	}
	var lines []line
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		more, err := d.parse("app.d/"+filepath.Base(name), string(text))
		if err != nil {
			return err
		}
		lines = append(lines, more...)
	}
	for _, l := range lines {
		if err := l.to.set(l.text, l.at); err != nil {
			return fmt.Errorf("%s: %w", l.at, err)
		}
	}
	return nil
}

// A line sets a setting.
type line struct {
	at   string // file:line
	to   *setting
	text string
}

// parse returns the lines of a file, and checks their values.
func (d *daemon) parse(file, text string) (lines []line, err error) {
	n := 0
	for words := range strings.Lines(text) {
		n++
		words = strings.TrimSpace(words)
		if words == "" || words[0] == '#' {
			continue
		}
		at := fmt.Sprintf("%s:%d", file, n)
		key, value, found := strings.Cut(words, "=")
		if !found {
			return nil, fmt.Errorf("%s: there is no equals sign", at)
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if strings.HasPrefix(value, `"`) {
			if value, err = strconv.Unquote(value); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
		}
		s := d.find(strings.ReplaceAll(key, ".", "/"))
		if s == nil || s.store == nil {
			d.log.Warn("unknown setting", "name", key, "file", file, "line", n)
			continue
		}
		if err := s.check(value); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", at, key, err)
		}
		lines = append(lines, line{at, s, value})
	}
	return lines, nil
}

func (d *daemon) find(name string) *setting {
	i := slices.IndexFunc(d.settings, func(s *setting) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return d.settings[i]
}

// save writes the settings that differ from the defaults to a file that load reads.
func (d *daemon) save() error {
	var text strings.Builder
	for _, s := range d.settings {
		value := s.text()
		if s.store == nil || value == s.start {
			continue
		}
		if quoted := strconv.Quote(value); value != strings.TrimSpace(value) || quoted != `"`+value+`"` {
			value = quoted
		}
		fmt.Fprintf(&text, "%s = %s\n", strings.ReplaceAll(s.name, "/", "."), value)
	}
	name := filepath.Join(d.dir, "app.d", "99-saved.conf")
	if err := os.WriteFile(name+".new", []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
