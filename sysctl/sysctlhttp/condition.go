package sysctlhttp

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// etag names a text. It is the same after a restart of the program.
func etag(text []byte) string {
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// conditional reports whether the request has a condition.
func (c *call) conditional() bool {
	return len(c.r.Header.Values("If-Match"))+len(c.r.Header.Values("If-None-Match")) > 0
}

// holds reports whether the conditions of a PUT hold. If not, it answers. The caller must
// have the right to read, because the answer tells of the text.
func (c *call) holds() bool {
	text, err := c.Tree.ReadFile(c.cred, c.path)
	if err != nil {
		c.fail(readStatus(err), err)
		return false
	}
	tag := etag(text)
	match, isSet := c.r.Header["If-Match"]
	if isSet && !names(match, tag) || c.knows(tag) {
		c.fail(http.StatusPreconditionFailed, fmt.Errorf("sysctlhttp: %s: the condition does not hold", c.path))
		return false
	}
	return true
}

// knows reports whether If-None-Match has the tag. A proxy that compresses an answer makes
// its tag a weak one. To read, this is as good. If-Match must not have it.
func (c *call) knows(tag string) bool {
	values := c.r.Header["If-None-Match"]
	return names(values, tag) || names(values, "W/"+tag)
}

// names reports whether the values of a header name the tag, or any by a star. A tag here
// has no comma.
func names(values []string, tag string) bool {
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if item = strings.TrimSpace(item); item == tag || item == "*" {
			return true
		}
	}
	return false
}
