package sqlitedb

import (
	"bytes"
	"os"
)

// A pageFile is the copy of a database in the making. Pages go through a block of it in memory, so that the file is read and written in
// large portions; pages that are in it already are not written again.
type pageFile struct {
	f        *os.File
	pageSize int
	have     uint32 // how many pages it has, from the first on, those in the block included

	block    []byte
	first    uint32 // the page that block begins with; 0 if there is none
	from, to int    // the bytes of block that are not written yet
}

// copyBlock is how long a block is, in bytes: 16 of the largest pages.
const copyBlock = 1 << 20

// put makes page number pgno be as given. It must be one that the copy has or the next one.
func (c *pageFile) put(pgno uint32, page []byte) error {
	at := (int(pgno) - int(c.first)) * c.pageSize
	if c.first == 0 || at < 0 || at >= copyBlock {
		if err := c.load(pgno); err != nil {
			return err
		}
		at = 0
	}
	had := c.block[at : at+c.pageSize]
	if pgno <= c.have && bytes.Equal(had, page) {
		return nil
	}
	copy(had, page)
	c.have = max(c.have, pgno)
	if c.from == c.to {
		c.from = at
	}
	c.from, c.to = min(c.from, at), max(c.to, at+c.pageSize)
	return nil
}

// load goes to the block that begins with a page.
func (c *pageFile) load(pgno uint32) error {
	if err := c.flush(); err != nil {
		return err
	}
	if c.block == nil {
		c.block = make([]byte, copyBlock)
	}
	c.first = pgno
	if pgno > c.have {
		return nil
	}
	_, err := c.f.ReadAt(c.block[:min(copyBlock, int64(c.have-pgno+1)*int64(c.pageSize))], c.offset(pgno))
	return err
}

// flush writes what is not written yet.
func (c *pageFile) flush() error {
	if c.from == c.to {
		return nil
	}
	_, err := c.f.WriteAt(c.block[c.from:c.to], c.offset(c.first)+int64(c.from))
	c.from, c.to = 0, 0
	return err
}

func (c *pageFile) offset(pgno uint32) int64 { return int64(pgno-1) * int64(c.pageSize) }

// cut shortens the copy to so many pages, if it has more.
func (c *pageFile) cut(pages uint32) error {
	if err := c.flush(); err != nil || c.have <= pages {
		return err
	}
	c.have = pages
	return c.f.Truncate(c.offset(pages + 1))
}

// restart makes the copy empty, and its pages be of another size.
func (c *pageFile) restart(pageSize int) error {
	err := c.cut(0)
	c.pageSize = pageSize
	return err
}
