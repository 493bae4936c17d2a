package kthreadhttp

// Draw holds up all pictures until done is called.
func (h *Handler) Draw() (done func()) {
	h.drawing.Lock()
	return h.drawing.Unlock
}
