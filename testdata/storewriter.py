"""A writer of lifeboat stores for tests, made from docs/format.md alone and sharing nothing with lifeboat.

A second writer shows whether the page is enough to read and write a store by. It keeps everything in memory and has no
care for speed. Python's standard library and the zstd program are all it needs; the same zstd gives the same bytes.
"""

import base64
import hashlib
import json
import os
import subprocess

FORMAT = "lifeboat/1"
MiB = 1 << 20
MAP_SPAN = 16 * MiB  # bytes of a file that one map covers
MAX_EXTENTS = 1024   # a file with more of them has maps
FILE_CHUNK = 65536
DATABASE_CHUNK = 4096
TAR_TIME = 315532800  # 1980-01-01


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def is_utf8(name):
    try:
        name.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def text(name):
    return name.decode("utf-8", "replace")


def b64(data):
    return base64.b64encode(data).decode()


def member(name):
    """The name of a tar member for a path: %XX for bytes that are not valid UTF-8."""
    return "".join("%%%02X" % (ord(c) - 0xDC00) if 0xDC80 <= ord(c) <= 0xDCFF else c
                   for c in name.decode("utf-8", "surrogateescape"))


def order(path):
    """Sort key of a path: component by component, bytewise."""
    return path.split(b"/")


def full(d):
    """The dict without what is empty, zero or false."""
    keep = ("uid", "gid", "size", "sha256")
    return {k: v for k, v in d.items() if v is not None and (v or k in keep)}


def compress(data):
    """One zstd frame with content size and checksum."""
    return subprocess.run(
        ["zstd", "-q", "-c", "-19", "--single-thread", "--check", "--stream-size=%d" % len(data)],
        input=data, stdout=subprocess.PIPE, check=True).stdout


def ustar(name, size, typeflag=b"0", prefix=b""):
    """A ustar header: owner 0, mode 0644, 1980-01-01."""
    h = bytearray(512)
    for at, value in ((0, name), (100, b"0000644"), (108, b"0000000"), (116, b"0000000"), (124, b"%011o" % size),
                      (136, b"%011o" % TAR_TIME), (148, b" " * 8), (156, typeflag), (257, b"ustar\0" + b"00"), (345, prefix)):
        h[at:at + len(value)] = value
    h[148:155] = b"%06o\0" % sum(h)
    return bytes(h)


def header(name, size):
    """The header of a member, with a PAX record where ustar has no room for the name or no way to write it."""
    raw = name.encode()
    if name.isascii():
        if len(raw) <= 100:
            return ustar(raw, size)
        for i in range(max(1, len(raw) - 101), min(156, len(raw))):
            if raw[i:i + 1] == b"/":
                return ustar(raw[i + 1:], size, prefix=raw[:i])
    n = len(raw) + len(" path=\n")
    length = n + len(str(n + len(str(n))))
    record = b"%d path=%s\n" % (length, raw)
    return ustar(b"PaxHeaders", len(record), b"x") + record + bytes(-len(record) % 512) + ustar(raw[:100], size)


class Archive:
    """An archive: first being filled, then, after finish, known by its hash."""

    def __init__(self):
        self.stream = bytearray()
        self.records = bytearray()
        self.data = 0
        self.sha256 = None

    def _header(self, name, size):
        self.stream += header(name, size)
        return len(self.stream)

    def _content(self, data):
        self.stream += data + bytes(-len(data) % 512)

    def add(self, name, data, chunk):
        off = self._header(name, len(data))
        self._content(data)
        self.records += off.to_bytes(8, "little") + len(data).to_bytes(4, "little") + chunk.to_bytes(4, "little")
        for i in range(0, len(data), chunk):
            self.records += hashlib.sha256(data[i:i + chunk]).digest()[:16]
        self.data += len(data)
        return off

    def finish(self):
        """Adds the index and the end, cuts the frames; returns the stored bytes."""
        off = self._header(".lifeboat/chunks", len(self.records))
        self._content(self.records)
        self.stream += bytes(1024)
        frames = [compress(bytes(self.stream[i:i + MiB])) for i in range(0, len(self.stream), MiB)]
        stored = b"".join(frames)
        self.sha256 = sha256(stored)
        self.length = len(self.stream)
        self.line = {
            "sha256": self.sha256, "size": len(stored), "length": self.length, "frames": [len(f) for f in frames],
            "index": [off, len(self.records), sha256(bytes(self.records))], "data": self.data,
        }
        self.stream = self.records = None
        return stored


class Packer:
    """Fills archives with segments, a new one when the next would bring the tar stream past the limit."""

    def __init__(self, store):
        self.store = store
        self.archive = None

    def add(self, name, data, chunk):
        if self.archive and len(self.archive.stream) + 1024 + len(data) > self.store.archive_max:
            self.finish()
        if not self.archive:
            self.archive = Archive()
        return self.archive, self.archive.add(name, data, chunk)

    def finish(self):
        if self.archive:
            stored = self.archive.finish()
            self.store.put("archives/%s.tar.zst" % self.archive.sha256, stored)
        self.archive = None


class Store:
    """The objects of a store, by key."""

    def __init__(self, app, uuid, created, archive_max=32 * MiB):
        self.app = app
        self.archive_max = archive_max
        self.objects = {}
        self.put("lifeboat.json", dump({"format": FORMAT, "id": uuid, "app": app, "created": created}))

    def put(self, key, data):
        self.objects[key] = data

    def write(self, directory):
        for key, data in self.objects.items():
            path = os.path.join(directory, key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)


class Entry:
    """One file, directory or link of a source. path is below the source's root, in bytes; b"" is the root itself."""

    def __init__(self, path, type="file", mode=0o644, uid=0, gid=0, user="root", group="root",
                 mtime="1767225600.000000000", data=b"", link=b"", xattrs=(), marked=None, sqlite=None):
        self.path, self.type, self.mode, self.mtime = path, type, mode, mtime
        self.uid, self.gid, self.user, self.group = uid, gid, user, group
        self.data, self.link, self.xattrs, self.marked, self.sqlite = data, link, xattrs, marked, sqlite


def coalesce(chunks):
    """Extents [archive or None, off, len] from (archive or None, off, len) of each chunk in file order."""
    extents = []
    for archive, off, length in chunks:
        last = extents[-1] if extents else None
        if last and last[0] is archive and (archive is None or last[1] + last[2] == off):
            last[2] += length
        else:
            extents.append([archive, off, length])
    return extents


class Table:
    """Cuts lines into pieces and stores those that the base does not have."""

    def __init__(self, packer, known):
        self.packer, self.known = packer, known
        self.count, self.pieces = 0, []
        self._start()

    def _start(self):
        self.first, self.lines, self.size, self.archives = None, [], 0, []

    def add(self, key, first, raw, line):
        """line is a function that makes the object, given a function from archive to index."""
        mine = list(self.archives)

        def index(archive):
            if archive is None:
                return -1
            if archive.sha256 not in mine:
                mine.append(archive.sha256)
            return mine.index(archive.sha256)

        data = dump(line(index)) + b"\n"
        if self.lines and self.size + len(data) > MiB:
            self._end()
            return self.add(key, first, raw, line)
        if not self.lines:
            self.first, self.raw = first, raw
        self.archives = mine
        self.lines.append(data)
        self.size += len(data)
        self.count += 1
        digest = hashlib.sha256(key).digest()
        if digest[0] == 0 and digest[1] < 128:
            self._end()

    def _end(self):
        data = dump({"archives": self.archives}) + b"\n" + b"".join(self.lines)
        digest = sha256(data)
        if digest not in self.known:
            name = member(self.raw) if self.raw else self.first
            archive, off = self.packer.add(".lifeboat/pieces/" + name, data, len(data))
            self.known[digest] = (archive, off, len(data))
        self.pieces.append((self.first, self.raw, digest))
        self._start()

    def finish(self):
        if self.lines:
            self._end()

    def head(self, total, root):
        pieces = []
        for first, raw, digest in self.pieces:
            archive, off, length = self.known[digest]
            pieces.append([first, root(archive), off, length, digest] + ([b64(raw)] if raw else []))
        return full({"count": self.count, "bytes": total, "pieces": pieces})


class Snapshot:
    """One snapshot. base is another Snapshot of the same store, to whose archives this one points for what has not changed."""

    def __init__(self, store, stamp, base=None):
        self.store, self.stamp, self.base = store, stamp, base
        self.chunks = {}  # path: [(hash, archive, off, len)] in file order
        self.pieces = dict(base.pieces) if base else {}  # digest of a piece or map: (archive, off, len)
        self.sources = []
        self.lines = []  # (path, function from index to line)
        self.tables = Packer(store)

    def source(self, name, type, root, entries, optional=False, consistency="stable"):
        packer = Packer(self.store)
        names = {}  # how many names a file has
        for e in entries:
            if e.type == "hardlink":
                names[e.link] = names.get(e.link, 1) + 1
        stats = {"files": 0, "bytes": 0, "databases": 0}
        for e in sorted(entries, key=lambda e: order(e.path)):
            path = b"/".join(p for p in (name.encode(), e.path) if p)
            stats["files"] += 1
            stats["bytes"] += len(e.data)
            stats["databases"] += e.sqlite is not None
            if e.type == "file":
                e.links = names.get(e.path)
                self._content(packer, path, e)
            self.lines.append((path, e))
        packer.finish()
        self.sources.append(full({"name": name, "type": type, "root": root, "optional": optional,
                                  "consistency": consistency, **stats}))

    def _content(self, packer, path, e):
        size = DATABASE_CHUNK if e.sqlite else FILE_CHUNK
        before = self.base.chunks.get(path, []) if self.base else []
        chunks, segment = [], []  # segment: numbers of the new chunks in it

        def flush():
            if not segment:
                return
            data = b"".join(e.data[i * size:(i + 1) * size] for i in segment)
            name = member(path)
            if len(data) != len(e.data):
                name = ".lifeboat/parts/%s/%016d" % (name, segment[0] * size)
            archive, off = packer.add(name, data, size)
            for i in segment:
                digest, _, _, length = chunks[i]
                chunks[i] = (digest, archive, off, length)
                off += length
            segment.clear()

        for i in range((len(e.data) + size - 1) // size):
            data = e.data[i * size:(i + 1) * size]
            digest = sha256(data)
            if not any(data):
                chunks.append((digest, None, 0, len(data)))
            elif i < len(before) and before[i][0] == digest:
                chunks.append(before[i])
            else:
                chunks.append((digest, None, 0, len(data)))
                segment.append(i)
                if len(segment) * size == MiB:
                    flush()
        flush()
        self.chunks[path] = chunks

    def _maps(self, packer, path, size):
        """The maps of a file as [(archive, off, len, digest)], and every archive they use."""
        per = MAP_SPAN // size
        chunks = [c[1:] for c in self.chunks[path]]
        listed = []
        for first in range(0, len(chunks), per):
            archives, extents = [], []
            for archive, off, length in coalesce(chunks[first:first + per]):
                if archive and archive.sha256 not in archives:
                    archives.append(archive.sha256)
                extents.append([archives.index(archive.sha256) if archive else -1, off, length])
            data = dump({"archives": archives}) + b"\n" + dump({"extents": extents}) + b"\n"
            digest = sha256(data)
            if digest not in self.pieces:
                name = ".lifeboat/maps/%s/%016d" % (member(path), first * size)
                archive, off = packer.add(name, data, len(data))
                self.pieces[digest] = (archive, off, len(data))
            listed.append(digest)
        return listed

    def commit(self, removed=False, **head):
        self.lines.sort(key=lambda line: order(line[0]))
        used = {}
        packer = Packer(self.store)
        maps, extents = {}, {}
        for path, e in self.lines:
            if e.type != "file":
                continue
            size = DATABASE_CHUNK if e.sqlite else FILE_CHUNK
            extents[path] = coalesce(c[1:] for c in self.chunks[path])
            for archive, _, _ in extents[path]:
                if archive:
                    used[archive.sha256] = archive
            if len(extents[path]) > MAX_EXTENTS:
                maps[path] = self._maps(packer, path, size)
        packer.finish()
        for listed in maps.values():
            for digest in listed:
                archive = self.pieces[digest][0]
                used[archive.sha256] = archive

        files = Table(self.tables, self.pieces)
        for path, e in self.lines:
            self._file(files, path, e, extents.get(path, []), maps.get(path))
        files.finish()
        archives = Table(self.tables, self.pieces)
        for digest in sorted(used):
            archives.add(bytes.fromhex(digest), digest, None, lambda index, a=used[digest]: a.line)
        archives.finish()
        self.tables.finish()
        return self._head(files, archives, sum(a.line["size"] for a in used.values()), removed, head)

    def _file(self, table, path, e, extents, maps):
        raw = None if is_utf8(path) else path

        def line(index):
            d = {"path": text(path), "raw": raw and b64(raw), "type": e.type}
            if e.type != "hardlink":
                d.update(mode="%04o" % e.mode, uid=e.uid, gid=e.gid, user=e.user, group=e.group, mtime=e.mtime)
            if e.type == "file":
                d.update(size=len(e.data), sha256=sha256(e.data), links=e.links)
            if e.link:
                link = e.link if e.type == "symlink" else path.split(b"/")[0] + b"/" + e.link
                d.update(link=text(link), raw_link=None if is_utf8(link) else b64(link))
            d.update(xattrs=[[n, b64(v)] for n, v in sorted(e.xattrs)])
            if maps:
                d.update(chunk=DATABASE_CHUNK if e.sqlite else FILE_CHUNK,
                         maps=[[index(self.pieces[m][0]), self.pieces[m][1], self.pieces[m][2], m] for m in maps])
            elif extents:
                d.update(chunk=DATABASE_CHUNK if e.sqlite else FILE_CHUNK,
                         extents=[[index(a), off, length] for a, off, length in extents])
            d.update(marked=e.marked, sqlite=e.sqlite and full(e.sqlite))
            return full(d)

        table.add(path, text(path), raw, line)

    def _head(self, files, archives, stored, removed, extra):
        roots = []

        def root(archive):
            if archive not in roots:
                roots.append(archive)
            return roots.index(archive)

        total = sum(len(e.data) for _, e in self.lines if e.type == "file")
        tables = {"files": files.head(total, root), "archives": archives.head(stored, root)}
        stamp = self.stamp
        head = {
            "format": FORMAT, "app": self.store.app, "kind": "backup", "stamp": stamp,
            "finished": "%s-%s-%sT%s:%s:%sZ" % (stamp[:4], stamp[4:6], stamp[6:8], stamp[9:11], stamp[11:13], stamp[13:15]),
            "tool": "hand-made", "host": {"name": "harbour", "os": "linux", "arch": "amd64"},
            "previous": {"stamp": self.base.stamp, "sha256": self.base.sha256} if self.base else None,
            "state": "complete", "problems": [], "problem_count": 0, "omitted": [],
            "consistency": {"level": "stable", "skew_us": 1500},
            "sources": sorted(self.sources, key=lambda s: s["name"]),
            **tables, "roots": [a.line for a in roots], "stats": {"bytes": total, "seconds": 1},
        }
        head.update(extra)
        self.head = dump(full(head))
        stored = compress(self.head)
        self.sha256 = sha256(stored)
        self.id = "%s-%s" % (stamp, self.sha256)
        self.store.put("%s/%s.json.zst" % ("removed" if removed else "manifests", self.id), stored)
        return self.id

    def expected(self):
        """What a restore must give, as the object of an expected.json."""
        out = []
        for path, e in self.lines:
            d = {"path": text(path), "raw": None if is_utf8(path) else b64(path), "type": e.type, "mode": None,
                 "uid": None, "gid": None, "mtime": None, "size": None, "sha256": None}
            if e.type != "hardlink":
                d.update(mode="%04o" % e.mode, uid=e.uid, gid=e.gid, mtime=e.mtime)
            if e.type == "file":
                d.update(size=len(e.data), sha256=sha256(e.data))
            if e.link:
                link = e.link if e.type == "symlink" else path.split(b"/")[0] + b"/" + e.link
                d.update(link=text(link), raw_link=None if is_utf8(link) else b64(link))
            if e.xattrs:
                d.update(xattrs=[[n, b64(v)] for n, v in sorted(e.xattrs)])
            out.append({k: v for k, v in d.items() if v is not None})
        return {"id": self.id, "files": out}
