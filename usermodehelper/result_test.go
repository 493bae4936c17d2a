package usermodehelper_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// ranFor is a result of a program that ran, with the status and the error.
func ranFor(d time.Duration, status usermodehelper.Status, err error) usermodehelper.Result {
	begin := time.Now()
	return usermodehelper.Result{
		Path: "/bin/x", Pid: 123, Begin: begin, End: begin.Add(d), Reaped: true, Status: status, Err: err,
		User: time.Millisecond, System: 2 * time.Millisecond, MaxRSS: 4096,
	}
}

func TestResultInOneLine(t *testing.T) {
	start := &os.PathError{Op: "fork/exec", Path: "/bin/x", Err: syscall.ENOENT}
	for text, r := range map[string]usermodehelper.Result{
		"/bin/x[123]: exit status 0 after 5ms":                                   ranFor(5*time.Millisecond, 0, nil),
		"/bin/x[123]: exit status 3 after 1.23s":                                 ranFor(1234567890, 3<<8, nil),
		"/bin/x[123]: signal: killed after 12m30s":                               ranFor(12*time.Minute+30*time.Second+time.Millisecond, 9, nil),
		"/bin/x[123]: exit status 0 after 999ns":                                 ranFor(999, 0, nil),
		"/bin/x[123]: signal: terminated after 1.2s: context canceled":           ranFor(1200*time.Millisecond, 15, errors.New("usermodehelper: /bin/x was ended (signal: terminated): context canceled")),
		"/bin/x[123]: exit status 0 after 1s: Output.Writer failed: disk full":   ranFor(time.Second, 0, errors.New("usermodehelper: /bin/x has ended (exit status 0): Output.Writer failed: disk full")),
		"/bin/x: not started: no such file or directory":                         {Path: "/bin/x", Err: fmt.Errorf("usermodehelper: %w", start)},
		"/bin/x: not started: context canceled":                                  {Path: "/bin/x", Err: errors.New("usermodehelper: /bin/x was not started: context canceled")},
		"/bin/x: not started: argv is empty: invalid argument":                   {Path: "/bin/x", Err: errors.New(`usermodehelper: "/bin/x": argv is empty: invalid argument`)},
		"/bin/x: not started: is not on the list: no":                            {Path: "/bin/x", Err: errors.New("usermodehelper: /bin/x is not on the list: no")},
		`/bin/a\nb: not started: two\r\nlines`:                                   {Path: "/bin/a\nb", Err: errors.New("two\r\nlines")},
		`/bin/it's "ü": not started: \x1b[2J\x00\u2028 \ it's`:                   {Path: `/bin/it's "ü"`, Err: errors.New("\x1b[2J\x00\u2028 \\ it's")},
		`/bin/a\xff\xe2\x80: not started: \xc3(�`:                                {Path: "/bin/a\xff\xe2\x80", Err: errors.New("\xc3(\ufffd")},
		"/bin/x: not started: /bin/xz is missing":                                {Path: "/bin/x", Err: errors.New("/bin/xz is missing")},
		"/bin/x: not started: /bin/xz: not permitted":                            {Path: "/bin/x", Err: errors.New("usermodehelper: fork/exec /bin/xz: not permitted")},
		"/bin/x: not started: of Init":                                           {Path: "/bin/x", Err: errors.New("of Init")},
		"/bin/x[123]: status unknown: processes of its group outlive SIGKILL: 5": {Path: "/bin/x", Pid: 123, Begin: time.Now(), Err: errors.New("usermodehelper: /bin/x was ended: processes of its group outlive SIGKILL: 5")},
	} {
		require.Equal(t, text, r.String())
		require.Equal(t, text, fmt.Sprint(r))
	}
}

func TestResultTellsOfEachFailure(t *testing.T) {
	require.NoError(t, ranFor(1, 0, nil).Failure())
	require.EqualError(t, ranFor(1, 3<<8, nil).Failure(), "usermodehelper: /bin/x[123]: exit status 3")
	require.EqualError(t, ranFor(1, 9, nil).Failure(), "usermodehelper: /bin/x[123]: signal: killed")
	require.ErrorIs(t, ranFor(1, 0, syscall.EINTR).Failure(), syscall.EINTR)
	require.ErrorIs(t, ranFor(1, 9, syscall.EINTR).Failure(), syscall.EINTR)
	require.ErrorIs(t, usermodehelper.Result{Err: syscall.ENOENT}.Failure(), syscall.ENOENT)
}

// logged returns the line of slog for a result.
func logged(r usermodehelper.Result) string {
	var text bytes.Buffer
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: noTime})).Info("x", "helper", r)
	return text.String()
}

func TestResultInALog(t *testing.T) {
	require.Equal(t, "level=INFO msg=x helper.path=/bin/x helper.pid=123 helper.status=\"exit status 3\" helper.took=5ms helper.user=1ms helper.system=2ms helper.max_rss=4096\n",
		logged(ranFor(5*time.Millisecond, 3<<8, nil)))
	require.Contains(t, logged(ranFor(5*time.Millisecond, 15, context.Canceled)), `helper.max_rss=4096 helper.error="context canceled"`)
	require.Equal(t, "level=INFO msg=x helper.path=/bin/x helper.error=\"no such file or directory\"\n",
		logged(usermodehelper.Result{Path: "/bin/x", Err: syscall.ENOENT}))
}

// The fields alone would tell of a status of 0 for a helper that was not started, and of no error.
func TestResultInJSON(t *testing.T) {
	r := ranFor(5*time.Millisecond, 3<<8, context.Canceled)
	r.Begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.End = r.Begin.Add(5 * time.Millisecond)
	killed := usermodehelper.Result{Path: "/bin/x", Pid: 123, Begin: r.Begin, Err: syscall.ENOTEMPTY}
	for want, r := range map[string]usermodehelper.Result{
		`{"begin":"2026-01-02T03:04:05Z","end":"2026-01-02T03:04:05.005Z","error":"context canceled","max_rss":4096,` +
			`"path":"/bin/x","pid":123,"status":"exit status 3","system":2000000,"took":5000000,"user":1000000}`: r,
		`{"error":"no such file or directory","path":"/bin/x"}`:                                    {Path: "/bin/x", Err: syscall.ENOENT},
		`{"begin":"2026-01-02T03:04:05Z","error":"directory not empty","path":"/bin/x","pid":123}`: killed,
	} {
		for _, v := range []any{r, &r} {
			text, err := json.Marshal(v)
			require.NoError(t, err)
			require.Equal(t, want, string(text))
		}
	}
}
