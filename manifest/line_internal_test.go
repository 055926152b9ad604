package manifest

import (
	"math/rand/v2"
	"testing"
)

// A line is appended exactly as encoding/json encodes it, whatever of it there is, and whatever characters.
func TestAppendLine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	maybe := func() bool { return random.IntN(3) == 0 }
	odd := []string{"", "a", "data/plain name~.json", `"`, `\`, "<&>", "\x00\x1f \x7f", "\t\n\r\b\f", "ÄÖ€😀", "\u2028\u2029", "\ufffd", `\ufffd`, "\xff\xc3", "a\xed\xa0\x80b"}
	text := func() (s string) {
		for range random.IntN(4) {
			s += odd[random.IntN(len(odd))]
		}
		return s
	}
	number := func() int64 { return int64(random.Uint64()) >> random.IntN(64) }
	for range 20_000 {
		l := &fileLine{Path: text(), Type: FileType(text())}
		if maybe() {
			l.own.mode = octal(random.IntN(0o10000))
			l.Mode = &l.own.mode
		}
		if maybe() {
			l.own.uid, l.own.gid = random.Uint32(), random.Uint32()
			l.UID, l.GID = &l.own.uid, &l.own.gid
		}
		if maybe() {
			l.User, l.Group, l.Link, l.Marked = text(), text(), text(), text()
		}
		if maybe() {
			at, size, sum := Timestamp(number()), number(), HashOf([]byte(text()))
			l.ModTime, l.Size, l.SHA256, l.Links, l.Chunk = &at, &size, &sum, number(), number()
		}
		if maybe() {
			for range 1 + random.IntN(3) {
				l.Extents = append(l.Extents, wireExtent{number(), number(), number()})
			}
		}
		switch random.IntN(20) {
		case 0:
			l.Raw = []byte(text())
		case 1:
			l.RawLink = []byte(text())
		case 2:
			l.Xattrs = []Xattr{{"user.a", []byte(text())}}
		case 3:
			l.Maps = wireMaps{{wireExtent{number(), number(), number()}, HashOf(nil)}}
		case 4:
			l.SQLite = &SQLite{PageSize: 4096}
		}
		want, err := marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.append([]byte("before "))
		if err != nil || string(got) != "before "+string(want) {
			t.Fatalf("%v\n%s, and encoding/json writes\n%s", err, got, want)
		}
	}
}
