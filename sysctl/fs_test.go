package sysctl_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// Sizes are 0, as in /proc/sys. A caller that reads to the end gets the text. A
// caller that believes the size does not: the doc comment of FS names two.
func TestUsersOfAnFSThatReadToTheEndGetTheText(t *testing.T) {
	tree, limit, _ := demo(t, 0o644)
	limit.Store(7)
	fsys := tree.FS(sysctl.Nobody)

	text, err := fs.ReadFile(fsys, "kernel/limit")
	require.NoError(t, err)
	require.Equal(t, "7\n", string(text))

	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, fsys))
	text, err = os.ReadFile(filepath.Join(dir, "kernel/limit"))
	require.NoError(t, err)
	require.Equal(t, "7\n", string(text))

	tmpl, err := template.ParseFS(fsys, "kernel/*")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, tmpl.Execute(&out, nil))
	require.Equal(t, "7\n", out.String())

	var archive bytes.Buffer
	zw := zip.NewWriter(&archive)
	require.NoError(t, zw.AddFS(fsys))
	require.NoError(t, zw.Close())
	zr, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	require.NoError(t, err)
	text, err = fs.ReadFile(zr, "kernel/limit")
	require.NoError(t, err)
	require.Equal(t, "7\n", string(text))
}

func TestUsersOfAnFSThatBelieveASizeGetNothing(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	fsys := tree.FS(sysctl.Nobody)
	answer := httptest.NewRecorder()
	http.FileServerFS(fsys).ServeHTTP(answer, httptest.NewRequest("GET", "/kernel/limit", nil))
	require.Empty(t, answer.Body.String())
	require.ErrorIs(t, tar.NewWriter(io.Discard).AddFS(fsys), tar.ErrWriteTooLong)
}

// The way to serve a tree that the doc comment of FS shows.
func TestTreeIsServedByReadFile(t *testing.T) {
	tree, limit, _ := demo(t, 0o644)
	limit.Store(7)
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := tree.ReadFile(sysctl.Nobody, r.URL.Path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = w.Write(text)
	})
	answer := httptest.NewRecorder()
	serve(answer, httptest.NewRequest("GET", "/kernel/limit", nil))
	require.Equal(t, "7\n", answer.Body.String())
	answer = httptest.NewRecorder()
	serve(answer, httptest.NewRequest("GET", "/kernel/none", nil))
	require.Equal(t, http.StatusNotFound, answer.Code)
}
