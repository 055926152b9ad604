#!/usr/bin/env python3
"""Rebuilds a snapshot from a lifeboat store. Needs Python 3.8 or later and zstd; lifeboat itself is not needed.

    python3 recover.py                list the snapshots of the store in this directory
    python3 recover.py STAMP DIR      rebuild one into DIR, which must be new or empty

STAMP is a stamp as listed, the beginning of one that fits only one snapshot, or a full ID (the name of a manifest
without .json.zst). The store is the directory one stands in, or else the one where this file lies. It may also be
somewhere else: when LIFEBOAT_FETCH is set, `$LIFEBOAT_FETCH KEY` is run by sh, and must write the object KEY to its
standard output; STAMP must then be a full ID.

Every object is checked against its name, every table and every file against its SHA-256. A file that cannot be had
whole and right is not written; everything else is. What is damaged, and what is missing for it, is named on standard
error, and the exit code says what came of it:

    0   everything is there
    1   something could not be written, or a program is missing
    3   everything is there, but the snapshot itself says that it is incomplete
    4   something is damaged or missing, or the store breaks the rules of its format
    8   DIR is not empty; nothing was done
    10  there is no store here
    13  there is no such snapshot
    15  there is no room on the disk, or it is read-only
    64  wrong arguments

Owners are restored for root, by number. The setuid and setgid bits, and extended attributes other than user.* and
access control lists, are restored only with LIFEBOAT_PRIVILEGED=1: whoever could write to the store could plant them.

Memory stays below some 150 MiB, whatever the size of the snapshot. DIR needs room for the files, and with
LIFEBOAT_FETCH also for the archives that are still needed, which lie in DIR/.lifeboat-recover meanwhile.

The format is described by docs/format.md in lifeboat's source; this program was written from that page alone.
"""

import base64
import binascii
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from array import array
from collections import OrderedDict

MiB = 1 << 20
FRAME = MiB             # tar bytes in a frame
MAP_SPAN = 16 * MiB     # bytes of a file that a map covers
MAX_PIECE = 16 * MiB
MAX_HEAD_STORED, MAX_HEAD = 8 * MiB, 64 * MiB
MAX_ARCHIVE = 4 << 30
MAX_PATH = 32 << 10
MAX_XATTRS, MAX_XATTR_BYTES = 1024, MiB
CACHED_FRAMES = 64
OPEN_ARCHIVES = 16

OK, FAILED, INCOMPLETE, DAMAGED, NOT_EMPTY, NO_STORE, NO_SNAPSHOT, DISK_FULL, USAGE = 0, 1, 3, 4, 8, 10, 13, 15, 64

ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
KEY = re.compile(r"[a-z0-9_]+")
MTIME = re.compile(r"(-?)([0-9]{1,12})\.([0-9]{9})")
MODE = re.compile(r"[0-7]{4}")

PRIVILEGED = os.environ.get("LIFEBOAT_PRIVILEGED") == "1"
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class Stop(Exception):
    """The end, with a message and an exit code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Damage(Exception):
    """Something in the store is not what its digest says. What else is whole can still be used."""


class Broken(Exception):
    """The store breaks the rules of its format. Its digests fit, so this is no accident: nothing of it is used."""


def show(path):
    """A name as text that cannot disturb a terminal."""
    text = path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else str(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# Where objects come from.

class Store:
    """The objects of a store, in a directory or through a command, as local files."""

    def __init__(self, directory, command):
        self.directory, self.command = directory, command
        self.fetched = None  # directory for what the command wrote

    def open(self, key, limit):
        """A file with the object; FileNotFoundError when there is none. At most limit bytes of it are fetched."""
        if not self.command:
            return open(os.path.join(self.directory, *key.split("/")), "rb")
        path = os.path.join(self.fetched, key.replace("/", "-"))
        if not os.path.exists(path):
            self._fetch(key, limit, path)
        return open(path, "rb")

    def _fetch(self, key, limit, path):
        if os.name == "nt":
            p = subprocess.Popen(self.command + " " + key, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        else:
            p = subprocess.Popen(["sh", "-c", self.command + ' "$1"', "recover.py", key],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        size = 0
        with p.stdout, open(path, "wb") as f:
            while size <= limit:
                data = p.stdout.read(MiB)
                if not data:
                    break
                f.write(data)
                size += len(data)
        if p.wait() != 0 and size <= limit:
            os.remove(path)
            raise FileNotFoundError(errno.ENOENT, "the command of LIFEBOAT_FETCH failed with code %d" % p.returncode)

    def drop(self, key):
        """Removes the fetched copy of an object that is no longer needed."""
        if self.command:
            try:
                os.remove(os.path.join(self.fetched, key.replace("/", "-")))
            except FileNotFoundError:
                pass

    def ids(self):
        """The IDs of the snapshots in a directory, with the key of each; removed ones too."""
        found = {}
        for kind in ("removed", "manifests"):
            try:
                names = os.listdir(os.path.join(self.directory, kind))
            except OSError:
                continue
            for name in names:
                if name.endswith(".json.zst") and ID.fullmatch(name[:-9]):
                    found[name[:-9]] = kind + "/" + name
        return found


def find_store():
    command = os.environ.get("LIFEBOAT_FETCH", "")
    if command:
        return Store(None, command)
    for d in (os.getcwd(), os.path.dirname(os.path.abspath(__file__))):
        if os.path.isdir(os.path.join(d, "manifests")):
            return Store(d, None)
    raise Stop(NO_STORE, "there is no store here: no directory manifests (see RECOVER.md)")


# Decompression: one way to read a stream of frames, with whatever is at hand.

class ProgramStream:
    """What the zstd program makes of a file from an offset on."""

    def __init__(self, path, offset):
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            self.process = subprocess.Popen(["zstd", "-dcq"], stdin=fd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        finally:
            os.close(fd)
        self.read = self.process.stdout.read

    def close(self):
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


class ModuleStream:
    """The same through a module, where there is no program."""

    def __init__(self, path, offset):
        self.file = open(path, "rb")
        self.file.seek(offset)
        self.reader = MODULE(self.file)

    def read(self, n):
        out = bytearray()
        while len(out) < n:
            try:
                data = self.reader.read(n - len(out))
            except Exception:  # each module has errors of its own
                data = b""
            if not data:
                break
            out += data
        return bytes(out)

    def close(self):
        self.file.close()


def find_zstd():
    """A class with read and close, and the function of the module behind it."""
    if shutil.which("zstd"):
        return ProgramStream, None
    try:
        from compression import zstd
        return ModuleStream, zstd.ZstdFile
    except ImportError:
        pass
    try:
        import zstandard
        return ModuleStream, lambda f: zstandard.ZstdDecompressor().stream_reader(f, read_across_frames=True)
    except ImportError:
        raise Stop(FAILED, "needs the program zstd, or the module zstandard, or Python 3.14 or later")


class Archive:
    """The tar stream of one archive, frame by frame, in order or not."""

    def __init__(self, path, frames, length):
        self.path, self.length = path, length
        self.offsets = None  # where each frame begins, when that is known
        if frames is not None:
            self.offsets, at = [], 0
            for size in frames:
                self.offsets.append(at)
                at += size
        self.stream, self.next = None, 0

    def frames(self, want):
        """Yields (number, bytes) of frames, the wanted one last; Damage when it does not decode."""
        if self.offsets is not None and want >= len(self.offsets):
            raise Damage("too short")
        if self.stream and not self.next <= want <= self.next + (8 if self.offsets else want):
            self.close()
        again = self.stream is not None
        while True:
            if not self.stream:
                self.next = want if self.offsets else 0
                self.stream = STREAM(self.path, self.offsets[want] if self.offsets else 0)
            size = FRAME if self.length is None else min(FRAME, self.length - self.next * FRAME)
            data = self.stream.read(size)
            if len(data) == size or (self.length is None and data):
                number, self.next = self.next, self.next + 1
                yield number, data
                if number == want:
                    return
                continue
            self.close()
            if not again or not self.offsets or self.next == want:
                raise Damage("frame %d does not decode" % want)
            again = False  # the frame before was bad, this one need not be

    def close(self):
        if self.stream:
            self.stream.close()
            self.stream = None


class Archives:
    """Bytes of archives by extent. Keeps the last frames, and the last archives open."""

    def __init__(self, store, report):
        self.store, self.report = store, report
        self.lines = {}       # hash: (size, length, frames); the archives that are listed
        self.complete = True  # the list is
        self.checked = set()
        self.missing = set()
        self.open = OrderedDict()
        self.cache = OrderedDict()

    def read(self, sha, off, length):
        if length <= 0:
            return b""
        first, last = off // FRAME, (off + length - 1) // FRAME
        if first == last:
            data = self.frame(sha, first)[off - first * FRAME:off - first * FRAME + length]
        else:
            data = b"".join(self.frame(sha, u) for u in range(first, last + 1))
            data = data[off - first * FRAME:off - first * FRAME + length]
        if len(data) != length:
            raise Damage("archives/%s.tar.zst is too short" % sha)
        return data

    def frame(self, sha, number):
        key = (sha, number)
        data = self.cache.get(key)
        if data is not None:
            self.cache.move_to_end(key)
            return data
        archive = self._archive(sha)
        try:
            for n, data in archive.frames(number):
                self.cache[sha, n] = data
                while len(self.cache) > CACHED_FRAMES:
                    self.cache.popitem(last=False)
        except Damage as e:
            name = "archives/%s.tar.zst" % sha
            self.report.damaged(name, e)
            raise Damage(name + " is damaged")
        return data

    def _archive(self, sha):
        archive = self.open.get(sha)
        if archive:
            self.open.move_to_end(sha)
            return archive
        key = "archives/%s.tar.zst" % sha
        if sha in self.missing:
            raise Damage(key + " is missing")
        size, length, frames = self.lines.get(sha, (MAX_ARCHIVE, None, None))
        try:
            with self.store.open(key, size) as f:
                if sha not in self.checked:
                    self._check(sha, key, f, size)
                path = f.name
        except OSError as e:
            if e.errno in FULL:
                raise
            self.missing.add(sha)
            self.report.damaged(key, "cannot be read: %s" % (e.strerror or e))
            raise Damage(key + " is missing")
        archive = self.open[sha] = Archive(path, frames, length)
        while len(self.open) > OPEN_ARCHIVES:
            self.open.popitem(last=False)[1].close()
        return archive

    def _check(self, sha, key, f, size):
        """Compares an archive with its name. A wrong one is still used: what comes out of it is checked again."""
        self.checked.add(sha)
        digest, n = hashlib.sha256(), 0
        while n <= size:
            data = f.read(MiB)
            if not data:
                break
            digest.update(data)
            n += len(data)
        if digest.hexdigest() != sha:
            self.report.damaged(key, "its SHA-256 is not the one in its name (%d bytes)" % n)
        elif sha in self.lines and n != size:
            raise Broken("%s has %d bytes, and is listed with %d" % (key, n, size))

    def drop(self, sha):
        archive = self.open.pop(sha, None)
        if archive:
            archive.close()
        self.store.drop("archives/%s.tar.zst" % sha)

    def close(self):
        for archive in self.open.values():
            archive.close()
        self.open.clear()


# Reading strictly.

def unique(pairs):
    d = dict(pairs)
    if len(d) != len(pairs):
        raise ValueError("a key occurs twice")
    for k in d:
        if not KEY.fullmatch(k):
            raise ValueError("key %r" % k)
    return d


def not_a_number(text):
    raise ValueError(text)


DECODER = json.JSONDecoder(object_pairs_hook=unique, parse_constant=not_a_number)


def parse(data, what):
    """One JSON object."""
    try:
        d = DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as e:
        raise Broken("%s: %s" % (what, e))
    if type(d) is not dict:
        raise Broken("%s: not an object" % what)
    check_shape(d, what)
    return d


def check_shape(d, what):
    """Not nested more than 16 deep, and not of more than 65,536 objects."""
    depth, objects, level = 0, 0, [d]
    while level:
        depth += 1
        objects += sum(type(v) is dict for v in level)
        if depth > 16 or objects > 65536:
            raise Broken("%s: nested too deep, or of too many objects" % what)
        level = [v for c in level for v in (c.values() if type(c) is dict else c) if type(v) in (dict, list)]


def text(d, key, what):
    v = d.get(key, "")
    if type(v) is not str:
        raise Broken("%s: %s is not text" % (what, key))
    return v


def number(v, what, least=0, most=1 << 62):
    if type(v) is not int or not least <= v <= most:
        raise Broken("%s: %s is not a number from %d to %d" % (what, show(v)[:40], least, most))
    return v


def items(d, key, what):
    v = d.get(key, [])
    if type(v) is not list:
        raise Broken("%s: %s is not a list" % (what, key))
    return v


def digest(v, what):
    if type(v) is not str or not SHA256.fullmatch(v):
        raise Broken("%s: %s is not a SHA-256" % (what, show(v)[:80]))
    return v


def unbase64(v, what):
    try:
        return base64.b64decode(v, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Broken("%s: not base64" % what)


def raw(d, key, raw_key, what):
    """The bytes of a path or target: those in base64, when there are any."""
    v = text(d, key, what)
    if raw_key in d:
        return unbase64(d[raw_key], what)
    try:
        return v.encode("utf-8")
    except UnicodeEncodeError as e:
        raise Broken("%s: %s" % (what, e))


def check_path(path):
    if not path or len(path) > MAX_PATH or b"\0" in path:
        raise Broken("path %s: empty, too long or with a zero byte" % show(path[:100]))
    for part in path.split(b"/"):
        if part in (b"", b".", b".."):
            raise Broken("path %s leads outside" % show(path))
        if os.name == "nt" and re.search(rb'[\\:*?"<>|\x00-\x1f]|[ .]\Z', part):
            raise Stop(FAILED, "path %s cannot be made on this system" % show(path))


def order(path):
    """Sort key of a path: compares component by component."""
    return path.replace(b"/", b"\0")


def archive_line(d, what):
    """(hash, size, length, frames) of a line of the archives table."""
    sha = digest(d.get("sha256"), what)
    what = "archive " + sha
    size = number(d.get("size"), what, 1, MAX_ARCHIVE)
    length = number(d.get("length"), what, 1, MAX_ARCHIVE)
    frames = items(d, "frames", what)
    if len(frames) != (length + FRAME - 1) // FRAME or sum(number(n, what, 1, size) for n in frames) != size:
        raise Broken(what + ": its frames do not add up")
    return sha, size, length, array("Q", frames)


class Line:
    """One line of the files table."""

    __slots__ = ("path", "type", "link", "d", "archives")

    def __init__(self, d, archives):
        self.d, self.archives = d, archives
        self.path = raw(d, "path", "raw", "a path")
        check_path(self.path)
        self.type = d.get("type")
        if self.type not in ("file", "directory", "symlink", "hardlink"):
            raise Broken("%s: type %s" % (show(self.path), show(self.type)))
        self.link = raw(d, "link", "raw_link", show(self.path))

    def check(self):
        """Checks what is used later. The extents are checked apart."""
        d, what = self.d, show(self.path)
        if self.type in ("symlink", "hardlink") and (not self.link or b"\0" in self.link or len(self.link) > MAX_PATH):
            raise Broken(what + ": bad target")
        if self.type == "hardlink":
            check_path(self.link)
            if self.link.split(b"/")[0] != self.path.split(b"/")[0] or order(self.link) >= order(self.path):
                raise Broken("%s: hard link to %s, which is not an earlier file of its source" % (what, show(self.link)))
            return
        if "mode" in d and not MODE.fullmatch(text(d, "mode", what)):
            raise Broken(what + ": mode")
        if "mtime" in d and not MTIME.fullmatch(text(d, "mtime", what)):
            raise Broken(what + ": mtime")
        for k in ("uid", "gid"):
            if k in d:
                number(d[k], what, 0, (1 << 32) - 2)
        for x in items(d, "xattrs", what):
            if type(x) is not list or len(x) != 2 or type(x[0]) is not str or not x[0] or "\0" in x[0]:
                raise Broken(what + ": extended attributes")
            unbase64(x[1], what)
        attributes = d.get("xattrs", [])
        if len(attributes) > MAX_XATTRS or sum(len(x[0].encode()) + len(unbase64(x[1], what)) for x in attributes) > MAX_XATTR_BYTES:
            raise Broken(what + ": extended attributes")
        if self.type == "file":
            number(d.get("size"), what)
            number(d.get("links", 0), what)
            digest(d.get("sha256"), what)

    @property
    def size(self):
        return self.d["size"] if self.type == "file" else 0

    @property
    def source(self):
        return self.path.split(b"/")[0].decode("ascii", "replace")


def check_extents(extents, archives, lengths, expect, what):
    """Checks that extents lie inside their archives and add up."""
    total, n = 0, len(archives)
    for e in extents:
        if type(e) is not list or len(e) != 3:
            raise Broken(what + ": an extent is not three numbers")
        a, off, length = e
        if not (type(a) is type(off) is type(length) is int) or length < 1 or off < 0:
            raise Broken("%s: extent %s" % (what, show(e)[:80]))
        total += length
        if a == -1:
            if off == 0:
                continue
        elif 0 <= a < n and length <= MiB and (lengths[a] is None or off + length <= lengths[a]):
            continue
        raise Broken("%s: extent %s lies outside" % (what, show(e)[:80]))
    if total != expect:
        raise Broken("%s: extents of %d bytes for %d" % (what, total, expect))


# What happened.

class Report:
    """What was damaged, what failed and what was left out, each said once."""

    def __init__(self):
        self.objects, self.lost, self.failures, self.notes = {}, 0, 0, OrderedDict()

    def say(self, message):
        print(message, file=sys.stderr, flush=True)

    def damaged(self, key, why):
        if key not in self.objects:
            self.objects[key] = why
            self.say("DAMAGED  %s: %s" % (key, why))

    def not_recovered(self, path, why):
        self.lost += 1
        self.say("LOST     %s: %s" % (show(path), why))

    def failed(self, path, error):
        if isinstance(error, OSError) and error.errno in FULL:
            raise error
        self.failures += 1
        self.say("FAILED   %s: %s" % (show(path), getattr(error, "strerror", None) or error))

    def note(self, kind, path):
        paths = self.notes.setdefault(kind, [])
        if len(paths) < 20:
            paths.append(show(path))

    def finish(self):
        for kind, paths in self.notes.items():
            self.say("note: %s: %s" % (kind, ", ".join(paths) + (", ..." if len(paths) == 20 else "")))


FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS)


# The snapshot.

def read_head(store, ident, key):
    """The head of a snapshot, checked against its ID."""
    with store.open(key, MAX_HEAD_STORED) as f:
        stored = f.read(MAX_HEAD_STORED + 1)
        path = f.name
    if hashlib.sha256(stored).hexdigest() != ident[17:]:
        raise Damage("%s: its SHA-256 is not the one in its name" % key)
    if len(stored) > MAX_HEAD_STORED:
        raise Broken(key + ": too large")
    stream = STREAM(path, 0)
    try:
        data = stream.read(MAX_HEAD + 1)
    finally:
        stream.close()
    if len(data) > MAX_HEAD:
        raise Broken(key + ": too large")
    head = parse(data, key)
    if head.get("format") != "lifeboat/1":
        raise Broken("%s: format %s is not known to this program" % (key, show(head.get("format"))))
    if head.get("stamp") != ident[:16]:
        raise Broken("%s: its stamp is %s" % (key, show(head.get("stamp"))))
    return head


class Snapshot:
    """The tables of one snapshot."""

    def __init__(self, head, archives, report):
        self.head, self.archives, self.report = head, archives, report
        self.roots = []
        for d in items(head, "roots", "roots"):
            if type(d) is not dict:
                raise Broken("roots: not an object")
            sha, *rest = archive_line(d, "roots")
            self.roots.append(sha)
            archives.lines[sha] = rest
        self.sources = {}
        for d in items(head, "sources", "sources"):
            if type(d) is not dict or not NAME.fullmatch(text(d, "name", "sources")) or d["name"] in self.sources:
                raise Broken("sources: a name is bad or occurs twice")
            if d.get("type") not in ("sqlite", "file", "directory"):
                raise Broken("source %s: type %s" % (d["name"], show(d.get("type"))))
            self.sources[d["name"]] = d
        items(head, "problems", "head"), items(head, "omitted", "head")
        self.files, self.archive_table = self._table("files"), self._table("archives")
        self.whole = True  # no piece of the files table is lost

    def _table(self, name):
        d = self.head.get(name, {})
        if type(d) is not dict:
            raise Broken("%s: not an object" % name)
        for p in items(d, "pieces", name):
            if type(p) is not list or len(p) not in (5, 6) or type(p[0]) is not str:
                raise Broken("%s: a piece is not listed as it should be" % name)
            number(p[1], name, 0, len(self.roots) - 1)
            number(p[2], name, 0, MAX_ARCHIVE)
            number(p[3], name, 1, MAX_PIECE)
            digest(p[4], name)
            if p[2] + p[3] > self.archives.lines[self.roots[p[1]]][1]:
                raise Broken("%s: a piece lies outside its archive" % name)
        return d

    def bytes(self, sha, off, length, expect, what):
        """The bytes of a piece or map; Damage when they are not what was listed."""
        data = self.archives.read(sha, off, length)
        if hashlib.sha256(data).hexdigest() != expect:
            raise Damage("%s in archives/%s.tar.zst is damaged" % (what, sha))
        return data

    def pieces(self, table, name):
        """Yields (archives, lines) of each piece, and (None, None) for one that is lost."""
        for i, p in enumerate(items(table, "pieces", name)):
            what = "piece %d of the %s table" % (i + 1, name)
            first = unbase64(p[5], name) if len(p) == 6 else p[0].encode("utf-8", "backslashreplace")
            try:
                data = self.bytes(self.roots[p[1]], p[2], p[3], p[4], what)
            except Damage as e:
                self.report.damaged("%s, which begins with %s" % (what, show(first)), e)
                yield None, None
                continue
            lines = data.split(b"\n")
            if lines.pop() or len(lines) < 2:
                raise Broken(what + ": no line, or no newline at its end")
            yield self.index(lines[0], what), lines[1:]

    def index(self, line, what):
        return [digest(a, what) for a in items(parse(line, what), "archives", what)]

    def read_archives(self):
        """Reads the archives table."""
        last, count, size, before = "", 0, 0, None
        listed = {}
        for _, lines in self.pieces(self.archive_table, "archives"):
            if lines is None:
                self.archives.complete = False
                continue
            for line in lines:
                sha, *rest = archive_line(parse(line, "archives table"), "archives table")
                if sha <= last:
                    raise Broken("archives table: not in order at " + sha)
                last, count, size = sha, count + 1, size + rest[0]
                if self.archives.lines.setdefault(sha, rest) != rest:
                    raise Broken("archive %s is listed twice, differently" % sha)
                listed[sha] = True
        if self.archives.complete and (count != self.archive_table.get("count", 0) or size != self.archive_table.get("bytes", 0)):
            raise Broken("archives table: its count or sum is not that of the head")
        return listed

    def lines(self):
        """Yields the lines of the files table, and None where a piece is lost."""
        for archives, lines in self.pieces(self.files, "files"):
            if lines is None:
                yield None
                continue
            for line in lines:
                yield Line(parse(line, "files table"), archives)

    def map_extents(self, line):
        """Yields (archives, extents, bytes covered) of each map of a file."""
        maps, what = line.d["maps"], show(line.path)
        for i, m in enumerate(maps):
            data = self.bytes(line.archives[m[0]], m[1], m[2], m[3], "map %d of %s" % (i + 1, what))
            two = data.split(b"\n")
            if len(two) != 3 or two[2]:
                raise Broken(what + ": a map is not two lines")
            archives = self.index(two[0], what)
            yield archives, items(parse(two[1], what), "extents", what), min(MAP_SPAN, line.size - i * MAP_SPAN)

    def extents(self, line):
        """Yields (archives, extents) of a file in file order."""
        if "maps" in line.d:
            for archives, extents, _ in self.map_extents(line):
                yield archives, extents
        else:
            yield line.archives, line.d.get("extents", [])

    def check(self, listed):
        """Checks the whole files table, before anything is written; returns the last line that uses each archive."""
        last_use, dirs, linkable, previous, key = {}, [], set(), None, b""
        count, total = 0, 0
        per_source = {name: [0, 0, 0] for name in self.sources}
        for n, line in enumerate(self.lines()):
            if line is None:
                self.whole = False
                continue
            line.check()
            path, what = line.path, show(line.path)
            if order(path) <= key:
                raise Broken(what + ": not in order")
            key = order(path)
            if line.source not in self.sources:
                raise Broken(what + ": not below a source")
            self._check_parent(line, dirs, previous, per_source[line.source][0])
            previous = path if line.type != "directory" else None
            if line.type == "directory":
                dirs.append(path + b"/")
            if line.type == "hardlink" and self.whole and line.link not in linkable:
                raise Broken("%s: hard link to %s, which is no file that has links" % (what, show(line.link)))
            if line.type == "file":
                if line.d.get("links"):
                    linkable.add(path)
                for sha in self._check_content(line, listed):
                    last_use[sha] = n
            count, total = count + 1, total + line.size
            s = per_source[line.source]
            s[0], s[1], s[2] = s[0] + 1, s[1] + line.size, s[2] + ("sqlite" in line.d)
        if self.whole:
            if count != self.files.get("count", 0) or total != self.files.get("bytes", 0):
                raise Broken("files table: its count or sum is not that of the head")
            for name, d in self.sources.items():
                if per_source[name] != [d.get(k, 0) for k in ("files", "bytes", "databases")]:
                    raise Broken("source %s: its counts are not those of the head" % name)
                if d["type"] != "directory" and per_source[name][0] != 1:
                    raise Broken("source %s: not one line" % name)
        return last_use

    def _check_parent(self, line, dirs, previous, seen):
        """A path lies in a directory that was listed; the one of a single file, in its source."""
        path, what = line.path, show(line.path)
        while dirs and not path.startswith(dirs[-1]):
            dirs.pop()
        if self.sources[line.source]["type"] != "directory":
            if seen or path.count(b"/") != 1 or line.type != "file":
                raise Broken(what + ": not the one file of its source")
        elif b"/" not in path:
            if line.type != "directory":
                raise Broken(what + ": a source that is not a directory")
        elif not dirs or path.rsplit(b"/", 1)[0] + b"/" != dirs[-1]:
            if self.whole or (previous and path.startswith(previous + b"/")):
                raise Broken(what + ": lies in no directory of the snapshot")

    def _length(self, sha, listed, what):
        if sha in listed:
            return self.archives.lines[sha][1]
        if self.archives.complete:
            raise Broken("%s: archive %s is not listed" % (what, sha))
        return None

    def _check_content(self, line, listed):
        """Checks the extents of a file; returns the archives that it uses."""
        what, used = show(line.path), set()
        if "maps" not in line.d:
            extents = items(line.d, "extents", what)
            lengths = [self._length(sha, listed, what) for sha in line.archives] if extents else []
            check_extents(extents, line.archives, lengths, line.size, what)
            return {line.archives[e[0]] for e in extents if e[0] >= 0}
        maps = items(line.d, "maps", what)
        if "extents" in line.d or len(maps) != (line.size + MAP_SPAN - 1) // MAP_SPAN:
            raise Broken(what + ": the number of its maps is wrong")
        for m in maps:
            if type(m) is not list or len(m) != 4:
                raise Broken(what + ": a map is not listed as it should be")
            number(m[0], what, 0, len(line.archives) - 1)
            length = self._length(line.archives[m[0]], listed, what)
            number(m[1], what, 0, MAX_ARCHIVE)
            number(m[2], what, 1, MAX_PIECE)
            digest(m[3], what)
            if length is not None and m[1] + m[2] > length:
                raise Broken(what + ": a map lies outside its archive")
            used.add(line.archives[m[0]])
        try:
            for archives, extents, span in self.map_extents(line):
                check_extents(extents, archives, [self._length(sha, listed, what) for sha in archives], span, what)
                used.update(archives)
        except Damage:
            pass  # is met and named again when the file is rebuilt
        return used


# Writing.

class Rebuild:
    """Writes the files of a snapshot into a directory."""

    def __init__(self, snapshot, directory, work, report):
        self.snapshot, self.directory, self.work, self.report = snapshot, os.fsencode(directory), work, report
        self.archives = snapshot.archives
        self.linked = set()
        self.files = self.bytes = self.directories = self.links = 0
        self.databases = []

    def at(self, path):
        return os.path.join(self.directory, path.replace(b"/", os.fsencode(os.sep)))

    def run(self, last_use):
        drop = {}
        for sha, n in last_use.items():
            drop.setdefault(n, []).append(sha)
        for n, line in enumerate(self.snapshot.lines()):
            if line is not None:
                self.content(line)
            for sha in drop.get(n, ()):
                if sha not in self.snapshot.roots:
                    self.archives.drop(sha)
        self.finish()

    def content(self, line):
        """First: directories, files and hard links."""
        at = self.at(line.path)
        try:
            parent = os.path.dirname(at)
            if not os.path.isdir(parent):  # that of a single file, or of a piece that is lost
                os.makedirs(parent, 0o755)
            if line.type == "directory":
                os.mkdir(at, 0o700)
                self.directories += 1
            elif line.type == "file":
                self.file(line, at)
            elif line.type == "hardlink":
                self.hardlink(line, at)
        except Damage as e:
            self.report.not_recovered(line.path, e)
        except (OSError, OverflowError, ValueError) as e:
            self.report.failed(line.path, e)

    def hardlink(self, line, at):
        target = self.at(line.link)
        if line.link in self.linked or not os.path.lexists(target) or not stat.S_ISREG(os.lstat(target).st_mode):
            raise Damage("the file it is a hard link to, %s, is not there" % show(line.link))
        os.link(target, at)
        self.linked.add(line.path)
        self.links += 1

    def file(self, line, at):
        """Writes a file under another name, and gives it its own once it is known to be right."""
        if os.path.lexists(at):
            raise FileExistsError(errno.EEXIST, "another name of the snapshot is the same to this file system")
        work = os.path.join(self.work, b"file")
        try:
            with open(work, "w+b", buffering=0) as f:
                if self.copy(line, f) != line.d["sha256"]:
                    raise Damage("its content does not have its SHA-256")
                self.attributes(line, f.fileno() if os.name != "nt" else work)
            os.rename(work, at)
        finally:
            if os.path.lexists(work):
                os.remove(work)
        self.files += 1
        self.bytes += line.size
        if "sqlite" in line.d and len(self.databases) < 20:
            about = line.d["sqlite"] if type(line.d["sqlite"]) is dict else {}
            self.databases.append((line.path, about.get("integrity", "ok")))

    def copy(self, line, f):
        """Writes the extents of a file; returns the SHA-256 of what was written."""
        digest, buf, frame_of = hashlib.sha256(), bytearray(), self.archives.frame
        nothing = bytes(MiB)
        for archives, extents in self.snapshot.extents(line):
            names = ["archives/%s.tar.zst is too short" % a for a in archives]
            for a, off, length in extents:
                if a < 0:
                    write(f, digest, buf)
                    f.seek(length, os.SEEK_CUR)
                    while length:
                        n = min(length, MiB)
                        digest.update(nothing if n == MiB else nothing[:n])
                        length -= n
                    continue
                number, at = off >> 20, off & (FRAME - 1)
                while length:
                    part = frame_of(archives[a], number)[at:at + length]
                    if not part:
                        raise Damage(names[a])
                    buf += part
                    length -= len(part)
                    number, at = number + 1, 0
                if len(buf) >= MiB:
                    write(f, digest, buf)
        write(f, digest, buf)
        f.truncate(line.size)
        return digest.hexdigest()

    def attributes(self, line, at):
        """Owner, extended attributes, mode and time, in the order in which they do not undo each other."""
        d, path = line.d, line.path
        link = line.type == "symlink"
        follow = {} if isinstance(at, int) or os.name == "nt" else {"follow_symlinks": False}

        def attempt(what, do, *args, **named):
            try:
                do(at, *args, **named)
            except (OSError, OverflowError) as e:  # the content is there, and right
                self.report.failed(path, OSError(getattr(e, "errno", 0), "its %s: %s" % (what, getattr(e, "strerror", e))))

        if ROOT and ("uid" in d or "gid" in d):
            attempt("owner", os.chown, d.get("uid", -1), d.get("gid", -1), **follow)
        elif not ROOT and hasattr(os, "geteuid") and d.get("uid", os.geteuid()) != os.geteuid():
            self.report.note("owners are restored only for root", path)
        # Access control lists last: they set the mode too, and it may be one that refuses other attributes.
        for name, value in sorted(d.get("xattrs", []), key=lambda x: x[0].startswith("system.posix_acl_")):
            self.xattr(at, name, base64.b64decode(value), follow, path)
        if "mode" in d and not link:
            mode = int(d["mode"], 8)
            if mode & 0o6000 and not PRIVILEGED:
                mode &= 0o1777
                self.report.note("setuid and setgid left out (LIFEBOAT_PRIVILEGED=1 keeps them)", path)
            attempt("mode", os.chmod, mode)
        if "mtime" in d and not (link and os.utime not in os.supports_follow_symlinks):
            sign, seconds, nanos = MTIME.fullmatch(d["mtime"]).groups()
            ns = int(seconds) * 10**9 + int(nanos)
            ns = -ns if sign else ns
            attempt("time", os.utime, ns=(ns, ns), **follow)

    def xattr(self, at, name, value, follow, path):
        if not PRIVILEGED and not name.startswith(("user.", "system.posix_acl_")):
            self.report.note("extended attribute %s left out (LIFEBOAT_PRIVILEGED=1 keeps it)" % show(name), path)
            return
        try:
            os.setxattr(at, name, value, **follow)
        except (AttributeError, OSError) as e:
            self.report.note("extended attribute %s not restored: %s" % (show(name), getattr(e, "strerror", "no way to")), path)

    def finish(self):
        """Last: symlinks, and the attributes of each directory once nothing in it changes any more."""
        dirs = []

        def leave(path):
            while dirs and not path.startswith(dirs[-1].path + b"/"):
                line = dirs.pop()
                self.attributes(line, self.at(line.path))

        for line in self.snapshot.lines():
            if line is None:
                continue
            leave(line.path)
            at = self.at(line.path)
            if line.type == "directory" and os.path.isdir(at):
                dirs.append(line)
            elif line.type == "symlink":
                try:
                    os.symlink(line.link, at)
                    self.links += 1
                    self.attributes(line, at)
                except (OSError, OverflowError, ValueError) as e:
                    self.report.failed(line.path, e)
        leave(b"")


def write(f, digest, buf):
    if buf:
        digest.update(buf)
        view, done = memoryview(buf), 0
        while done < len(buf):
            done += f.write(view[done:])
        view.release()
        buf.clear()


# The command line.

def list_snapshots(store):
    print("STAMP                          STATE       KIND          FILES            BYTES")
    for ident, key in sorted(store.ids().items()):
        short = ident[:29]
        try:
            head = read_head(store, ident, key)
            files = head.get("files", {})
            removed = "  (removed; its archives may be gone)" if key.startswith("removed/") else ""
            print("%s  %-10s  %-8s  %9d  %15d%s" % (short, show(head.get("state"))[:10], show(head.get("kind"))[:8],
                                                    files.get("count", 0), files.get("bytes", 0), removed))
        except (Damage, Broken, OSError, TypeError, AttributeError) as e:
            print("%s  DAMAGED: %s" % (short, show(e)))
    print("\npython3 recover.py STAMP DIR rebuilds one into DIR.")


def resolve(store, stamp):
    """The ID that a stamp stands for, and the key of its manifest."""
    if store.command:
        if not ID.fullmatch(stamp):
            raise Stop(USAGE, "with LIFEBOAT_FETCH a full ID is needed: the name of a manifest without .json.zst")
        return stamp, "manifests/%s.json.zst" % stamp
    found = store.ids()
    for kind in ("manifests/", "removed/"):
        fit = sorted(i for i, key in found.items() if i.startswith(stamp) and key.startswith(kind))
        if len(fit) > 1:
            raise Stop(NO_SNAPSHOT, "%s fits several snapshots:\n%s" % (show(stamp), "\n".join(fit)))
        if fit:
            return fit[0], found[fit[0]]
    raise Stop(NO_SNAPSHOT, "no snapshot begins with %s" % show(stamp))


def prepare(directory):
    """Makes DIR, or sees that it is empty; returns whether it was made."""
    try:
        if os.listdir(directory):
            raise Stop(NOT_EMPTY, "%s is not empty" % directory)
        return False
    except FileNotFoundError:
        os.makedirs(directory)
        return True
    except NotADirectoryError:
        raise Stop(NOT_EMPTY, "%s is not a directory" % directory)


def recover(store, stamp, directory):
    ident, key = resolve(store, stamp)
    made = prepare(directory)
    work = os.path.join(directory, ".lifeboat-recover")
    os.mkdir(work, 0o700)
    store.fetched = work
    report = Report()
    archives = Archives(store, report)
    try:
        return rebuild(store, ident, key, directory, os.fsencode(work), archives, report)
    except Damage as e:
        raise Stop(DAMAGED, e)
    except Broken as e:
        raise Stop(DAMAGED, "the store breaks the rules of its format, nothing was recovered: %s" % e)
    finally:
        archives.close()
        shutil.rmtree(work, ignore_errors=True)
        if made and not os.listdir(directory):
            os.rmdir(directory)


def rebuild(store, ident, key, directory, work, archives, report):
    try:
        head = read_head(store, ident, key)
    except FileNotFoundError as e:
        if not store.command:
            raise
        try:
            head = read_head(store, ident, key.replace("manifests/", "removed/"))
        except FileNotFoundError:
            raise Stop(NO_SNAPSHOT, "%s cannot be fetched: %s" % (key, e.strerror))
    snapshot = Snapshot(head, archives, report)
    last_use = snapshot.check(snapshot.read_archives())
    r = Rebuild(snapshot, directory, work, report)
    r.run(last_use)
    if hasattr(os, "sync"):
        os.sync()
    return summary(head, ident, directory, r, report)


def summary(head, ident, directory, r, report):
    report.finish()
    print("%s: %d files (%d bytes), %d directories, %d links are in %s" % (
        ident[:16], r.files, r.bytes, r.directories, r.links, show(directory)))
    for path, integrity in r.databases:
        print("database: %s%s" % (show(path), "" if integrity == "ok" else " (%s when it was captured)" % show(integrity)))
    code = OK
    if head.get("state") != "complete":
        code = INCOMPLETE
        report.say("the snapshot is incomplete, since it was taken:")
        for key in ("problems", "omitted"):
            for p in items(head, key, "head"):
                report.say("  " + show(" ".join(str(v) for v in p.values()) if type(p) is dict else p))
    if report.failures:
        code = FAILED
        report.say("%d things could not be written (see above)" % report.failures)
    if report.objects or report.lost:
        code = DAMAGED
        report.say("%d objects are damaged, %d files are lost (see above); what is in %s is right" % (
            len(report.objects), report.lost, directory))
    return code


def main(arguments):
    global STREAM, MODULE
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        if len(arguments) not in (0, 2) or (arguments and not re.fullmatch(r"[0-9TZa-f-]+", arguments[0])):
            raise Stop(USAGE, __doc__.split("\n\n")[1] if not arguments[1:] else "%s is not a stamp" % show(arguments[0]))
        STREAM, MODULE = find_zstd()
        store = find_store()
        if not arguments:
            if store.command:
                raise Stop(USAGE, "LIFEBOAT_FETCH cannot list: look at the keys below manifests/, and give a full ID")
            list_snapshots(store)
            return OK
        return recover(store, arguments[0], os.path.abspath(arguments[1]))
    except Stop as e:
        print("recover.py: %s" % e, file=sys.stderr)
        return e.code
    except OSError as e:
        print("recover.py: %s" % e, file=sys.stderr)
        return DISK_FULL if e.errno in FULL else FAILED
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
