package bugs

import "sync"

// A Mailbox collects messages for one reader.
type Mailbox struct {
	mu       sync.Mutex
	messages []string
	wake     chan struct{}
}

// NewMailbox is broken. A wake-up is lost if it comes when the reader has found nothing,
// and does not receive from the channel yet.
func NewMailbox() *Mailbox { return &Mailbox{wake: make(chan struct{})} }

// NewMailboxMended gives the channel room for one wake-up.
func NewMailboxMended() *Mailbox { return &Mailbox{wake: make(chan struct{}, 1)} }

// Post adds a message. It never blocks.
func (b *Mailbox) Post(message string) {
	b.mu.Lock()
	b.messages = append(b.messages, message)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // the reader is awake
	}
}

// Read waits for messages, and takes all.
func (b *Mailbox) Read() []string {
	for {
		if messages := b.take(); len(messages) > 0 {
			return messages
		}
		at("found nothing")
		<-b.wake
	}
}

func (b *Mailbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	messages := b.messages
	b.messages = nil
	return messages
}
