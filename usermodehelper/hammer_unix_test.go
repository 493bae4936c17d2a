//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/usermodehelper"
)

// These functions exist on one system only, and are nil elsewhere.
var (
	adoptOrphans func(on bool) error   // as children of this process, to be seen and reaped
	children     func() ([]int, error) // the pids of all, of those that are to be reaped too
)

// A job is how a helper ends, after its talk.
type job struct {
	script  string
	change  func(*usermodehelper.Helper) // if not nil
	cancel  bool                         // at any moment
	exit    int                          // how it ends if nothing interrupts it; -1 if it does not
	signal  syscall.Signal
	because error // how it is interrupted, if that is sure
	leaves  bool  // a member in the group: a talk has to have an output, which ends it
}

func impatient(h *usermodehelper.Helper) { h.Grace = 5 * time.Millisecond }

func sweeps(h *usermodehelper.Helper) {
	impatient(h)
	h.Sweep = true
}

var jobs = []job{
	{script: `exit 3`, exit: 3},
	{script: `exit 3`, exit: 3, cancel: true},
	{script: `kill -KILL $$`, signal: syscall.SIGKILL},
	{script: `kill -KILL $$`, signal: syscall.SIGKILL, cancel: true},
	{script: `exec sleep 1000`, exit: -1, cancel: true, because: syscall.EINTR},
	{script: `(trap '' TERM; exec sleep 1000) & exec sleep 1000`, exit: -1, cancel: true, because: syscall.EINTR, change: impatient},
	{script: `(trap '' TERM; exec sleep 1000) & trap '' TERM; sleep 1000`, exit: -1, cancel: true, because: syscall.EINTR, change: impatient},
	{script: `sleep 1000 & exec sleep 1000`, exit: -1, because: syscall.ETIMEDOUT,
		change: func(h *usermodehelper.Helper) { h.Timeout = time.Duration(1+rand.IntN(5)) * time.Millisecond }},
	{script: `(trap '' TERM HUP; exec sleep 1000) & exit 3`, exit: 3, change: sweeps},
	{script: `(trap '' TERM HUP; exec sleep 1000) & exit 3`, exit: 3, cancel: true, change: sweeps},
	{script: `(trap '' TERM HUP; exec sleep 1000) & exit 3`, exit: 3, leaves: true, change: impatient},
	{script: `(trap '' TERM HUP; exec sleep 1000) & exit 3`, exit: 3, leaves: true, cancel: true, change: impatient},
	{script: `while :; do echo x; echo x >&2; done`, exit: -1, cancel: true, because: syscall.EINTR},
}

// check returns an error for a wrong end. fails says that a function of the caller
// has failed, or would have if nothing had interrupted the helper before.
func (j *job) check(got usermodehelper.Result, fails bool) error {
	interrupted := j.because != nil && errors.Is(got.Err, j.because) || j.cancel && errors.Is(got.Err, syscall.EINTR)
	switch {
	case interrupted, fails && errors.Is(got.Err, errDisk) && errors.Is(got.Err, syscall.EIO):
	case fails, got.Err != nil, j.because != nil:
		return fmt.Errorf("%s: %w", got, got.Err)
	case j.signal != 0 && got.Status != usermodehelper.Status(j.signal), j.signal == 0 && got.Status != usermodehelper.Status(j.exit)<<8:
		return fmt.Errorf("%s: %v", got, got.Status)
	}
	if started := got.Pid != 0; got.Reaped != started || !started && !errors.Is(got.Err, syscall.ECANCELED) {
		return fmt.Errorf("%+v", got)
	}
	return nil
}

func TestHammer(t *testing.T) {
	rounds := 125
	if testing.Short() {
		rounds = 8 // a helper takes twice as long as one without a talk
	}
	t.Run("alone", func(t *testing.T) { hammer(t, rounds) })
	t.Run("recorded", func(t *testing.T) { // which keeps the goroutines in step
		_ = recorded(t)
		hammer(t, rounds)
	})
}

// hammer runs many helpers at once.
func hammer(t *testing.T, rounds int) {
	const goroutines = 8
	if adoptOrphans != nil {
		require.NoError(t, adoptOrphans(true))
		defer func() { require.NoError(t, adoptOrphans(false)) }()
	}
	captured(t, shell("exit 0"), 0) // the runtime has opened its descriptors now
	before, others, tasks := descriptors(t), goleak.IgnoreCurrent(), threads()
	var count counts
	var all sync.WaitGroup
	base := usermodehelper.Helper{}
	l := leashed(t, &base)
	start := time.Now()
	for range goroutines {
		all.Go(func() {
			for range rounds {
				if err := count.one(t.Context(), &base); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	t.Log(count.calls.Load(), "helpers in", time.Since(start))
	t.Log(count.String(), "and", threads(), "threads after", tasks, "before")
	require.Equal(t, count.calls.Load(), count.cleanups.Load())
	l.gone()
	require.NoError(t, l.r.Close())
	require.NoError(t, goleak.Find(others))
	require.Less(t, threads(), tasks+32, "a helper holds no thread; the spare ones and the runtime's are few")
	require.Equal(t, before, descriptors(t))
	reapOrphans(t)
}

// counts adds up the work of the helpers of a hammer.
type counts struct{ calls, cleanups, bytes, kept, lost, passed, broken, faults atomic.Int64 }

func (c *counts) String() string {
	return fmt.Sprintf("%d bytes read: %d kept, %d not kept, %d passed on; %d faults, %d outputs broken off",
		c.bytes.Load(), c.kept.Load(), c.lost.Load(), c.passed.Load(), c.faults.Load(), c.broken.Load())
}

// one runs a helper with a talk and an end, and returns an error for a wrong result.
func (c *counts) one(ctx context.Context, base *usermodehelper.Helper) error {
	j, mode, talk := jobs[rand.IntN(len(jobs))], modes[rand.IntN(len(modes))], newTalk()
	h := *shell(talk.script + j.script)
	h.Init, h.Input, h.InputFrom = base.Init, talk.input, talk.from
	outputs := talk.outputs(&h, j.leaves, strings.HasPrefix(j.script, "while"))
	if j.change != nil {
		j.change(&h)
	}
	for _, s := range outputs {
		if s.blockAt > 0 {
			j.cancel = true // nothing else would end it
			impatient(&h)
		}
	}
	got := make(chan usermodehelper.Result, 1)
	h.Cleanup = func(r usermodehelper.Result) {
		c.cleanups.Add(1)
		got <- r // blocks, and does not end, when it comes twice
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if j.cancel {
		time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, cancel)
	}
	c.calls.Add(1)
	_, _ = h.Exec(ctx, mode)
	r := <-got
	defer talk.letGo()
	fails := talk.fails
	var errs []error
	for _, s := range outputs {
		failed, err := s.check(c, r.Err == nil)
		fails = fails || failed
		errs = append(errs, err)
	}
	if errors.Is(r.Err, syscall.EIO) {
		c.faults.Add(1)
	}
	if err := errors.Join(append(errs, j.check(r, fails))...); err != nil {
		return fmt.Errorf("%v, %s, %+v: %w", mode, h.Argv[2], outputs, err)
	}
	return nil
}

// A talk has the bytes that a helper reads and writes before it ends.
type talk struct {
	script    string
	input     []byte
	from      io.Reader
	fails     bool // from does
	out, errs []byte
	release   chan bool // is closed to let blocked calls go
}

// newTalk returns one of many.
func newTalk() *talk {
	t := &talk{script: "cat; ", release: make(chan bool)}
	text := bytes.Repeat([]byte(numbers(500)), 1+rand.IntN(150)) // may be more than a pipe holds
	switch rand.IntN(10) {
	case 0:
		t.input = text
	case 1:
		t.from = iotest.HalfReader(bytes.NewReader(text))
	case 2:
		t.from, t.fails = io.MultiReader(bytes.NewReader(text), iotest.ErrReader(errDisk)), true
	case 3:
		t.script, t.input, text = "", make([]byte, 1<<20), nil // not read
	case 4:
		t.script, t.from, text = "", endless{}, nil // not read
	case 5:
		t.script, text = "", nil
		t.from = readFunc(func([]byte) (int, error) { <-t.release; return 0, errDisk })
	default:
		t.script, text = "", nil
	}
	if rand.IntN(2) == 0 {
		t.out = text
	} else {
		t.script, t.errs = strings.Replace(t.script, "cat", "cat >&2", 1), text
	}
	return t
}

func (t *talk) letGo() { close(t.release) }

// outputs gives outputs to h. The end may need one, and may write lines that are "x".
func (t *talk) outputs(h *usermodehelper.Helper, needed, more bool) (all []*stream) {
	rest := []byte(nil)
	if more {
		rest = bytes.Repeat([]byte("x\n"), 1<<20)
	}
	kind := rand.IntN(4)
	if kind == 0 && needed {
		kind = 1
	}
	add := func(texts ...[]byte) *usermodehelper.Output {
		s := newStream(t.release, slices.Concat(append(texts, rest)...))
		all = append(all, s)
		return &s.o
	}
	switch kind {
	case 1: // both in one
		h.Output = add(t.out, t.errs)
	case 2:
		h.Output = add(t.out)
		h.Errors = add(t.errs)
	case 3:
		h.Errors = add(t.errs)
	}
	return all
}

// A stream is an output, and the bytes that its Writer and Line have got.
type stream struct {
	o       usermodehelper.Output
	want    []byte // all that the helper would write
	failAt  int    // the Write that fails, or 0
	blockAt int    // the Write that blocks, or 0
	slow    bool
	release chan bool

	mu    sync.Mutex // a call that was left behind may come late
	calls int
	got   []byte
	lines []string
}

func newStream(release chan bool, want []byte) *stream {
	s := &stream{want: want, release: release}
	s.o.Max = []int{0, -1, 10, 5000}[rand.IntN(4)]
	s.o.Tail = []int{0, 10, 70_000}[rand.IntN(3)]
	s.o.Writer = s
	if rand.IntN(2) == 0 {
		s.o.Line = s.line
	}
	switch n := rand.IntN(64); {
	case n < 8:
		s.failAt = 1 + rand.IntN(3)
	case n == 8: // which costs half a second
		s.blockAt = 1 + rand.IntN(3)
	case n < 16:
		s.slow = true
	}
	return s
}

func (s *stream) Write(text []byte) (int, error) {
	s.mu.Lock()
	s.got = append(s.got, text...)
	s.calls++
	calls := s.calls
	s.mu.Unlock()
	switch {
	case calls == s.blockAt:
		<-s.release
	case calls == s.failAt:
		return 0, errDisk
	case s.slow:
		<-time.After(time.Millisecond)
	}
	return len(text), nil
}

func (s *stream) line(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

// check accounts for every byte: the bytes that were kept, the bytes that were not,
// and the bytes that Writer and Line got. complete says that the helper was not interrupted. failed
// says that a Write has failed in time.
func (s *stream) check(c *counts, complete bool) (failed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, kept, lost := s.o.String(), len(s.o.Bytes()), 0
	if _, note, ok := strings.Cut(text, "[cut: "); ok && strings.Contains(note, " bytes more]") {
		if _, err := fmt.Sscan(note, &lost); err != nil {
			return false, err
		}
	}
	total := kept + lost
	c.bytes.Add(int64(total))
	c.kept.Add(int64(kept))
	c.lost.Add(int64(lost))
	c.passed.Add(int64(len(s.got)))
	if s.o.Broken() {
		c.broken.Add(1)
	}
	last := text[len(text)-s.noteLen(text):]
	tooSlow := strings.Contains(last, "its calls took too long")
	failed = s.failAt > 0 && s.calls >= s.failAt
	all := !tooSlow && !failed // Writer and Line got all
	switch {
	case complete && total != len(s.want), total > len(s.want):
		err = fmt.Errorf("%d bytes read of %d", total, len(s.want))
	case text != s.model(total)+last:
		err = fmt.Errorf("%.500q is kept", text)
	case !bytes.HasPrefix(s.want, s.got), all && len(s.got) != total:
		err = fmt.Errorf("Writer got %d bytes of %d", len(s.got), total)
	case all && s.o.Line != nil && strings.Join(s.lines, "\n") != strings.TrimSuffix(string(s.got), "\n"):
		err = fmt.Errorf("Line got %d lines", len(s.lines))
	case failed && !tooSlow && !strings.Contains(last, "Writer failed"):
		err = errors.New("the failure is not told")
	}
	return failed && !tooSlow, err
}

// noteLen returns how long the last note of an output that is broken off is.
func (s *stream) noteLen(text string) int {
	if !s.o.Broken() {
		return 0
	}
	return len(text) - strings.LastIndex(text, "[cut: ")
}

// model returns the String of an output that got the first n bytes.
func (s *stream) model(n int) string {
	text := string(s.want[:n])
	first := s.o.Max
	if first == 0 {
		first = 65536
	}
	head := text[:min(n, max(first, 0))]
	tail := text[max(len(head), n-s.o.Tail):]
	if lost := n - len(head) - len(tail); lost > 0 {
		return fmt.Sprintf("%s[cut: %d bytes more]%s", head, lost, tail)
	}
	return head + tail
}

// String tells of the kind of a stream.
func (s *stream) String() string {
	return fmt.Sprintf("{Max %d Tail %d Line %v failAt %d blockAt %d slow %v}", s.o.Max, s.o.Tail, s.o.Line != nil, s.failAt, s.blockAt, s.slow)
}

// descriptors counts the open descriptors of this process.
func descriptors(t *testing.T) int {
	dir, err := os.ReadDir("/dev/fd")
	require.NoError(t, err)
	return len(dir)
}

// threads counts the threads of this process, if that can be seen.
func threads() int {
	tasks, _ := os.ReadDir("/proc/self/task")
	return len(tasks)
}

// reapOrphans requires that every child that is left was killed, or was at its own end
// just then, as a cat can be. They are children of helpers, and nothing else.
func reapOrphans(t *testing.T) {
	if children == nil {
		return
	}
	orphans, err := children()
	require.NoError(t, err)
	deadline := time.Now().Add(late)
	for len(orphans) > 0 {
		orphans = slices.DeleteFunc(orphans, func(pid int) bool {
			var ws syscall.WaitStatus
			got, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
			require.NoError(t, err)
			if got == 0 {
				require.Less(t, time.Now(), deadline, "%d was not killed", pid)
				return false
			}
			require.True(t, ws.Signaled() || ws.ExitStatus() == 0, "%d has ended by itself: %v", pid, ws)
			return true
		})
		if len(orphans) == 0 {
			orphans, err = children()
			require.NoError(t, err)
		} else {
			time.Sleep(time.Millisecond)
		}
	}
}
