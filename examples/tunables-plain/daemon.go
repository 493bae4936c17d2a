package main

import (
	"crypto/subtle"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// A daemon is a web server whose settings change while it runs.
type daemon struct {
	dir      string // of its files
	log      *slog.Logger
	settings []*setting // in the order of their names
	begin    time.Time
	bucket   bucket

	rate    *atomic.Pointer[float64]
	burst   *atomic.Pointer[int]
	timeout *atomic.Pointer[time.Duration]
	drain   *atomic.Pointer[time.Duration]
	closed  *atomic.Pointer[bool]
	allow   *atomic.Pointer[[]netip.Prefix]
	maxBody *atomic.Pointer[size]
	motd    *atomic.Pointer[string]
	token   *atomic.Pointer[string]
	level   *atomic.Pointer[slog.Level]
}

func newDaemon(dir string, log io.Writer) *daemon {
	d := &daemon{dir: dir, begin: time.Now()}
	d.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: d, ReplaceAttr: withoutTime}))
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	d.allow = tunable(d, "http/allow", 0o644, "client networks", local, parsePrefixes, nil)
	d.burst = tunable(d, "http/burst", 0o644, "requests at once", 10, parseInt, between(1, 1000))
	d.closed = tunable(d, "http/closed", 0o644, "refuse requests", false, parseBool, nil)
	d.drain = tunable(d, "http/drain", 0o644, "of last requests", time.Second, time.ParseDuration, between(0, time.Minute))
	d.maxBody = tunable(d, "http/max_body", 0o644, "of a request", 64<<10, parseSize, between[size](0, 1<<20))
	d.motd = tunable(d, "http/motd", 0o644, "front page text", "welcome", parseString, maxLen(80))
	d.rate = tunable(d, "http/rate", 0o644, "requests/second", 100, parseFloat, between(0.01, 10000))
	d.timeout = tunable(d, "http/timeout", 0o644, "of a request", time.Second, time.ParseDuration, between(time.Millisecond, time.Minute))
	d.token = tunable(d, "http/token", 0o600, "password", "sesame", parseString, nil)
	d.settings = append(d.settings, &setting{name: "http/uptime", mode: 0o444, doc: "since the start", text: d.uptime})
	d.level = tunable(d, "log/level", 0o644, "of the log", slog.LevelInfo, parseLevel, nil)
	return d
}

// tunable adds a setting, and logs each change of it. The log does not show the
// value of a secret.
func tunable[T any](d *daemon, name string, mode os.FileMode, doc string, start T, parse func(string) (T, error), check func(T) error) *atomic.Pointer[T] {
	v := new(atomic.Pointer[T])
	v.Store(&start)
	parsed := func(text string) (T, error) {
		value, err := parse(text)
		if err == nil && check != nil {
			err = check(value)
		}
		return value, err
	}
	s := &setting{name: name, mode: mode, doc: doc}
	s.value = func() any { return *v.Load() }
	s.text = func() string { return format(*v.Load()) }
	s.start = s.text()
	s.check = func(text string) error {
		_, err := parsed(text)
		return err
	}
	s.store = func(text, by string) error {
		value, err := parsed(text)
		if err != nil {
			return err
		}
		old := v.Swap(&value)
		if mode&4 == 0 {
			d.log.Info("changed", "name", name, "by", by)
		} else {
			d.log.Info("changed", "name", name, "old", *old, "new", value, "by", by)
		}
		return nil
	}
	d.settings = append(d.settings, s)
	return v
}

// Level implements [slog.Leveler].
func (d *daemon) Level() slog.Level { return *d.level.Load() }

func (d *daemon) uptime() string { return time.Since(d.begin).Round(time.Minute).String() }

// configure takes the settings from the files, and then from the flags.
func (d *daemon) configure(flags []string) error {
	if err := d.load(); err != nil {
		return err
	}
	set := flag.NewFlagSet("daemon", flag.ContinueOnError)
	for _, s := range d.settings {
		name := strings.ReplaceAll(s.name, "/", ".")
		set.Func(name, s.doc, func(text string) error { return s.set(text, "flag -"+name) })
	}
	return set.Parse(flags)
}

// operator returns the name of the caller of the admin page, a person with all rights. It is
// empty for a stranger.
func (d *daemon) operator(r *http.Request) (string, error) {
	name, password, given := r.BasicAuth()
	if given && subtle.ConstantTimeCompare([]byte(password), []byte(*d.token.Load())) == 0 {
		return "", errors.New("wrong password")
	}
	return name, nil
}
