package kthreadhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/kthread/trace/picture"
)

const width = 100 // of a picture in text

// trace answers with the text of the recorder.
func (a *answer) trace(r *trace.FlightRecorder) { a.err = record(&a.text, r) }

// record writes the trace of the last moments.
func record(text *bytes.Buffer, r *trace.FlightRecorder) error {
	if r == nil {
		return errors.New("there is no flight recorder")
	}
	_, _ = r.WriteTo(text) // a Buffer has no error
	// Only a line of an event begins with a space.
	if !bytes.Contains(text.Bytes(), []byte("\n ")) {
		return errors.New("no event is recorded")
	}
	return nil
}

// picture answers with a drawing of the trace. Another picture may take so long that the
// client, whose context is ctx, has gone.
func (a *answer) picture(ctx context.Context, h *Handler, form string) {
	if form != "svg" && form != "text" {
		a.status, a.err = http.StatusBadRequest, fmt.Errorf("no such picture: %q: it must be svg or text", form)
		return
	}
	h.drawing.Lock()
	defer h.drawing.Unlock()
	if a.err = ctx.Err(); a.err != nil {
		return
	}
	chart, err := chart(h.Recorder)
	if err != nil {
		a.err = err
		return
	}
	if form == "text" {
		a.err = chart.Text(&a.text, width)
		return
	}
	a.kind = "image/svg+xml"
	a.err = chart.SVG(&a.text)
}

// chart reads the trace of the last moments.
func chart(r *trace.FlightRecorder) (*picture.Chart, error) {
	var text bytes.Buffer
	if err := record(&text, r); err != nil {
		return nil, err
	}
	c, err := picture.Parse(&text)
	if err != nil {
		return nil, fmt.Errorf("no picture: %w", err)
	}
	return c, nil
}
