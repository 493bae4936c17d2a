package main

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// start starts a daemon. It returns the address, and a function that stops the daemon.
func start(dir string, flags []string, log io.Writer) (url string, stop func() error, err error) {
	d := newDaemon(dir, log)
	if err := d.configure(flags); err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: d.pages()}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // stop returns its error
	return "http://" + listener.Addr().String(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), *d.drain.Load())
		defer cancel()
		err := server.Shutdown(ctx)
		serving.Wait()
		return errors.Join(err, d.save())
	}, nil
}

func (d *daemon) pages() http.Handler {
	if expvar.Get("tunables") == nil { // a process has one: the settings of its first daemon
		expvar.Publish("tunables", expvar.Func(d.vars))
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", http.StripPrefix("/admin", &admin{daemon: d}))
	mux.Handle("/debug/vars", expvar.Handler())
	mux.HandleFunc("GET /{$}", d.guarded(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, *d.motd.Load()) }))
	mux.HandleFunc("POST /upper", d.guarded(upper))
	mux.HandleFunc("GET /slow", d.guarded(slow))
	return mux
}

// guarded is a page for the clients that the settings admit.
func (d *daemon) guarded(page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d.log.Debug("request", "path", r.URL.Path, "from", r.RemoteAddr)
		switch {
		case !d.admits(r.RemoteAddr):
			http.Error(w, "not from this network", http.StatusForbidden)
		case *d.closed.Load():
			http.Error(w, "closed", http.StatusServiceUnavailable)
		case !d.bucket.take(*d.rate.Load(), *d.burst.Load()):
			http.Error(w, "too many requests", http.StatusTooManyRequests)
		default:
			ctx, cancel := context.WithTimeout(r.Context(), *d.timeout.Load())
			defer cancel()
			r.Body = http.MaxBytesReader(w, r.Body, int64(*d.maxBody.Load()))
			page(w, r.WithContext(ctx))
		}
	}
}

func (d *daemon) admits(address string) bool {
	client, err := netip.ParseAddrPort(address)
	for _, network := range *d.allow.Load() {
		if err == nil && network.Contains(client.Addr()) {
			return true
		}
	}
	return false
}

// upper answers in capitals.
func upper(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	fmt.Fprintln(w, strings.ToUpper(string(text)))
}

// slow waits until the time is over.
func slow(w http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	http.Error(w, "it took too long", http.StatusGatewayTimeout)
}

// A bucket has a token for each request. Tokens come at a rate, up to a burst.
type bucket struct {
	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func (b *bucket) take(rate float64, burst int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.last.IsZero() {
		b.tokens = float64(burst)
	}
	b.tokens = min(float64(burst), b.tokens+rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
