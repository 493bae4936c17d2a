package sysctlhttp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"syscall"
)

// maxText is the size of the longest text that a tree takes.
const maxText = 4<<20 - 1

func (c *call) put() {
	if err := c.CrossOrigin.Check(c.r); err != nil {
		c.fail(http.StatusForbidden, fmt.Errorf("sysctlhttp: %w", err))
		return
	}
	// A stranger's body is not worth to be read.
	if !c.cred.May(2, c.info.Mode()) {
		c.fail(http.StatusForbidden, &fs.PathError{Op: "open", Path: c.path, Err: syscall.EACCES})
		return
	}
	text, status, err := c.body()
	if err != nil {
		c.fail(status, fmt.Errorf("sysctlhttp: %s: %w", c.path, err))
		return
	}
	if c.conditional() {
		c.conditions.Lock()
		defer c.conditions.Unlock()
		if !c.holds() {
			return
		}
	}
	c.write(text)
}

// body returns the text of a PUT. An empty one replaces a text too, but a write of nothing
// changes nothing. So it is a newline, which an empty text has in the tree.
func (c *call) body() (text []byte, status int, err error) {
	switch h := c.r.Header; {
	case h.Get("Content-Encoding") != "":
		return nil, http.StatusUnsupportedMediaType, fmt.Errorf("a body in the encoding %q is not supported", h.Get("Content-Encoding"))
	case h.Get("Content-Range") != "":
		return nil, http.StatusBadRequest, errors.New("a PUT of a part is not supported")
	}
	text, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxText))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, http.StatusRequestEntityTooLarge, err
	} else if err != nil {
		return nil, http.StatusBadRequest, err
	}
	if len(text) == 0 {
		text = []byte("\n")
	}
	return text, 0, nil
}

func (c *call) write(text []byte) {
	if err := c.Tree.WriteFrom(c.source(), c.cred, c.path, text); err != nil {
		c.fail(status(err), err)
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}

// source is the Source of a change: http, the name of the caller, and the address.
func (c *call) source() string {
	if c.name == "" {
		return "http " + c.r.RemoteAddr
	}
	return "http " + c.name + "@" + c.r.RemoteAddr
}
