package sysctlhttp

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/kprim/kprim/internal/jsontext"
	"github.com/kprim/kprim/sysctl"
)

// get answers with the text of an entry.
func (c *call) get() {
	if c.wantsJSON() {
		if items := c.items(); len(items) == 1 && items[0].Value != nil {
			c.json(items[0])
			return
		}
	}
	// An entry without a value gets its status here.
	text, err := c.Tree.ReadFile(c.cred, c.path)
	if err != nil {
		c.fail(readStatus(err), err)
		return
	}
	tag := etag(text)
	c.w.Header().Set("ETag", tag)
	if c.knows(tag) {
		c.w.WriteHeader(http.StatusNotModified)
		return
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = c.w.Write(text) // the client may have gone
}

// An item is an entry in a listing.
type item struct {
	Path  string          `json:"path"`
	Mode  string          `json:"mode"`             // octal
	Value json.RawMessage `json:"value,omitempty"`  // none if the caller may not read it
	Error string          `json:"error,omitempty"`  // of the handler, in place of the value
	SetBy string          `json:"set_by,omitempty"` // see [sysctl.Tree.Source]
	Doc   string          `json:"doc,omitempty"`

	entry sysctl.Entry
	text  string
}

const none = "-" // in a cell of the table

// items returns the entry at c.path, or the entries in and below the directory.
func (c *call) items() []item {
	items := []item{}
	// The error is nil, because the function returns none.
	_ = c.Tree.Walk(func(path string, e sysctl.Entry) error {
		if c.path == "." || path == c.path || strings.HasPrefix(path, c.path+"/") {
			items = append(items, c.item(path, e))
		}
		return nil
	})
	return items
}

func (c *call) item(path string, e sysctl.Entry) item {
	i := item{Path: path, Mode: fmt.Sprintf("%04o", uint32(e.Mode)), Doc: e.Doc, entry: e, text: none}
	if !c.cred.May(4, e.Mode) {
		return i
	}
	text, err := c.Tree.ReadFile(c.cred, path)
	if err != nil {
		i.Error = err.Error()
		i.text = "!(" + i.Error + ")"
		return i
	}
	i.SetBy = c.Tree.Source(path)
	i.Value = jsontext.Of(e.Handler, text)
	i.text = oneLine(strings.TrimSuffix(string(text), "\n"))
	return i
}

// oneLine returns a text for a table. A long text is cut. A text that would break the
// line, or change the colours of a terminal, is in quotes. So is a text that a reader could
// take for another one.
func oneLine(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	hidden := func(r rune) bool { return !strconv.IsPrint(r) }
	if text == none || text != strings.TrimSpace(text) || text == "" || text[0] == '"' ||
		!utf8.ValidString(text) || strings.ContainsFunc(text, hidden) {
		return strconv.Quote(text)
	}
	return text
}

// list answers with the entries of a directory.
func (c *call) list() {
	if c.wantsJSON() {
		c.json(c.items())
		return
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for line := range strings.Lines(table(c.items())) {
		_, _ = fmt.Fprintln(c.w, strings.TrimRight(line, " \n")) // the client may have gone
	}
}

func table(items []item) string {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "mode\tpath\tvalue\tset by\tdocumentation")
	for _, i := range items {
		setBy := none
		if i.SetBy != "" {
			setBy = oneLine(i.SetBy)
		}
		fmt.Fprintf(t, "%v\t%s\t%s\t%s\t%s\n", i.entry.Mode, oneLine(i.Path), i.text, setBy, i.Doc)
	}
	_ = t.Flush() // a Builder has no error
	return text.String()
}

func (c *call) json(v any) {
	c.w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(c.w)
	e.SetIndent("", "\t")
	_ = e.Encode(v) // the client may have gone
}

// wantsJSON reports whether the request names JSON as a type that it accepts.
func (c *call) wantsJSON() bool {
	c.w.Header().Set("Vary", "Accept")
	for accepted := range strings.SplitSeq(strings.Join(c.r.Header.Values("Accept"), ","), ",") {
		typ, params, err := mime.ParseMediaType(accepted)
		if err == nil && typ == "application/json" && params["q"] != "0" {
			return true
		}
	}
	return false
}
