package main

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/kprim/kprim/sysctl"
)

// A daemon is a web server whose settings change while it runs.
type daemon struct {
	dir    string // of its files
	log    *slog.Logger
	tree   sysctl.Tree
	begin  time.Time
	bucket bucket

	rate    *sysctl.Var[float64]
	burst   *sysctl.Var[int]
	timeout *sysctl.Var[time.Duration]
	drain   *sysctl.Var[time.Duration]
	closed  *sysctl.Var[bool]
	allow   *sysctl.Var[[]netip.Prefix]
	maxBody *sysctl.Var[sysctl.Bytes]
	motd    *sysctl.Var[string]
	token   *sysctl.Var[string]
	level   *sysctl.Var[slog.Level]
}

func newDaemon(dir string, log io.Writer) *daemon {
	d := &daemon{dir: dir, begin: time.Now()}
	d.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: d, ReplaceAttr: withoutTime}))
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	d.rate = tunable(d, "http/rate", 0o644, "requests/second",
		100, sysctl.Between(0.01, 10000))
	d.burst = tunable(d, "http/burst", 0o644, "requests at once", 10, sysctl.Between(1, 1000))
	d.timeout = tunable(d, "http/timeout", 0o644, "of a request", time.Second, sysctl.Between(time.Millisecond, time.Minute))
	d.drain = tunable(d, "http/drain", 0o644, "of last requests", time.Second, sysctl.Between(0, time.Minute))
	d.closed = tunable(d, "http/closed", 0o644, "refuse requests", false)
	d.allow = tunable(d, "http/allow", 0o644, "client networks", local)
	d.maxBody = tunable(d, "http/max_body", 0o644, "of a request", 64<<10, sysctl.Between[sysctl.Bytes](0, 1<<20))
	d.motd = tunable(d, "http/motd", 0o644, "front page text", "welcome", sysctl.MaxLen(80))
	d.token = tunable(d, "http/token", 0o600, "password", "sesame")
	d.level = tunable(d, "log/level", 0o644, "of the log", slog.LevelInfo)
	d.register("http/uptime", 0o444, "since the start", sysctl.Func(d.uptime))
	return d
}

// tunable registers a setting, and logs each change of it. The log does not show the
// value of a secret.
func tunable[T any](d *daemon, name string, mode os.FileMode, doc string, start T, checks ...func(old, new T) error) *sysctl.Var[T] {
	v := sysctl.NewVar(start, checks...)
	v.Changed = func(c sysctl.Change[T]) {
		if mode&4 == 0 {
			d.log.Info("changed", "name", name, "by", c.Source)
		} else {
			d.log.Info("changed", "name", name, "old", c.Old, "new", c.New, "by", c.Source)
		}
	}
	d.register(name, mode, doc, v)
	return v
}

func (d *daemon) register(name string, mode os.FileMode, doc string, h sysctl.Handler) {
	dir, base := path.Split(name)
	if _, err := d.tree.Register(dir, sysctl.Entry{Name: base, Mode: mode, Handler: h, Doc: doc}); err != nil {
		panic(err) // a mistake in this file
	}
}

// Level implements [slog.Leveler].
func (d *daemon) Level() slog.Level { return d.level.Load() }

func (d *daemon) uptime() string { return time.Since(d.begin).Round(time.Minute).String() }

// configure takes the settings from the files, and then from the flags.
func (d *daemon) configure(flags []string) error {
	files := sysctl.Settings{Unknown: func(e *sysctl.SettingError) {
		d.log.Warn("unknown setting", "name", e.Key, "file", e.File, "line", e.Line)
	}}
	files.Dirs(os.DirFS(d.dir), "app.d")
	if err := files.Apply(&d.tree, sysctl.Root); err != nil {
		return err
	}
	set := flag.NewFlagSet("daemon", flag.ContinueOnError)
	_ = d.tree.Walk(func(path string, e sysctl.Entry) error {
		name := sysctl.Key(path)
		set.Func(name, e.Doc, func(text string) error {
			return d.tree.WriteFrom("flag -"+name, sysctl.Root, path, []byte(text))
		})
		return nil
	})
	return set.Parse(flags)
}

// save writes the settings that differ from the defaults to a file that configure reads.
func (d *daemon) save() error {
	var text bytes.Buffer
	if err := d.tree.Save(sysctl.Root, &text); err != nil {
		return err
	}
	name := filepath.Join(d.dir, "app.d", "99-saved.conf")
	if err := os.WriteFile(name+".new", text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// operator is the caller of the admin page.
func (d *daemon) operator(r *http.Request) (string, sysctl.Cred, error) {
	name, password, given := r.BasicAuth()
	switch {
	case !given:
		return "", sysctl.Nobody, nil
	case subtle.ConstantTimeCompare([]byte(password), []byte(d.token.Load())) == 0:
		return "", sysctl.Nobody, errors.New("wrong password")
	}
	return name, sysctl.Root, nil
}
