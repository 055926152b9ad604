package snapshot

import "context"

// Most items are small: a line that has no content, or a file of a few KiB. Handed over one by one they would cost more for the handing over than for
// all else, so they go in batches: a batch is on its way when it is full, or when its last item is one that somebody waits for.

const (
	batches    = 4         // of one source, together
	batchItems = 128       // items of a batch, at most
	batchBytes = 256 << 10 // of small files in a batch, at most
)

// A batch is items in their order. What small files hold lies in bytes, and is the batch's; a block of another item is its reader's.
type batch struct {
	items []item
	bytes []byte
}

// bytesFor returns room for n bytes in the batch that is being filled, which are the batch's until it was taken by the packer. There are at most
// batchBytes.
func (r *reader) bytesFor(n int) ([]byte, error) {
	if r.filling != nil && len(r.filling.bytes)+n > batchBytes {
		if err := r.handOn(); err != nil {
			return nil, err
		}
	}
	b, err := r.fill()
	if err != nil {
		return nil, err
	}
	if b.bytes == nil {
		b.bytes = make([]byte, 0, batchBytes)
	}
	at := len(b.bytes)
	b.bytes = b.bytes[:at+n]
	return b.bytes[at:], nil
}

// fill returns the batch that is being filled.
func (r *reader) fill() (*batch, error) {
	if r.filling == nil {
		select {
		case r.filling = <-r.free:
		case <-r.ctx.Done():
			return nil, context.Cause(r.ctx)
		}
	}
	return r.filling, nil
}

// send hands an item to the packer, which may come to it later: see handOn.
func (r *reader) send(it item) error {
	b, err := r.fill()
	if err != nil {
		return err
	}
	b.items = append(b.items, it)
	if it.block != nil && !it.small || it.digest != nil || it.reached != nil || len(b.items) == batchItems {
		return r.handOn()
	}
	return nil
}

// handOn lets the packer have all that was sent.
func (r *reader) handOn() error {
	if r.filling == nil {
		return nil
	}
	select {
	case r.batches <- r.filling:
		r.filling = nil
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// pass passes the items of a batch to the packer, and gives back what they were in.
func (r *reader) pass(b *batch, p *packer) error {
	for i := range b.items {
		it := &b.items[i]
		if err := p.take(*it); err != nil {
			return err
		}
		if !it.small {
			r.recycle(it.block)
		}
	}
	clear(b.items)
	b.items, b.bytes = b.items[:0], b.bytes[:0]
	r.free <- b
	return nil
}

// unused takes back the last n bytes that bytesFor returned.
func (r *reader) unused(n int) { r.filling.bytes = r.filling.bytes[:len(r.filling.bytes)-n] }
