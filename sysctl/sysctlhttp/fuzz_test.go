package sysctlhttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/sysctlhttp"
)

// No request of a stranger changes anything or shows a secret, and no answer is a page.
func FuzzStranger(f *testing.F) {
	f.Add("GET", "/", "Accept", "application/json", "")
	f.Add("PUT", "/a/secret", "If-Match", `"x"`, "1")
	f.Add("PUT", "/a/../a/open", "X-HTTP-Method-Override", "PUT", "1")
	f.Add("GET", "a/open/", "If-None-Match", "*,", "1")
	f.Fuzz(func(t *testing.T, method, path, name, value, body string) {
		secret, open := sysctl.NewVar("hunter2"), sysctl.NewVar("<script>")
		var tree sysctl.Tree
		_, err := tree.Register("a",
			sysctl.Entry{Name: "secret", Mode: 0o600, Handler: secret},
			sysctl.Entry{Name: "open", Mode: 0o644, Handler: open},
		)
		require.NoError(t, err)
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: value}
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
		w := httptest.NewRecorder()
		(&sysctlhttp.Handler{Tree: &tree}).ServeHTTP(w, r)

		require.Equal(t, "hunter2", secret.Load())
		require.Equal(t, "<script>", open.Load())
		require.NotContains(t, w.Body.String(), "hunter2")
		require.NotEqual(t, http.StatusNoContent, w.Code)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		if w.Body.Len() > 0 {
			require.Regexp(t, "^(text/plain; charset=utf-8|application/json)$", w.Header().Get("Content-Type"))
		}
		if w.Code == http.StatusOK && w.Header().Get("ETag") != "" {
			require.Equal(t, "/a/open", "/"+strings.TrimPrefix(path, "/"), "an entry has one path")
		}
	})
}
