#!/usr/bin/env python3
"""Makes the stores in testdata/stores from docs/format.md alone: python3 testdata/make_stores.py [DIR]

Each directory DIR/<name> holds store/, the store, and <stamp>.expected.json for each snapshot in it that can be
recovered: what a restore must give, worked out from the content and not from the store. It is another writer than
lifeboat, and so shows that the page is enough to write one by. The format is frozen: what this writes must not change.
"""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile

from storewriter import Entry, MiB, Snapshot, Store

WORDS = "anchor bilge cleat davit ebb fender gunwale halyard inlet jib keel leeward mast nautical oar painter quay".split()


def prose(seed, size):
    """Text that compresses well and has no zero byte."""
    r = random.Random(seed)
    lines = [" ".join(r.choice(WORDS) for _ in range(9)) for _ in range(40)]
    out, n, i = [], 0, 0
    while n < size:
        line = "%07d %s\n" % (i, lines[r.randrange(40)])
        out.append(line)
        n += len(line)
        i += 1
    return "".join(out).encode()[:size]


def database(wal, *steps):
    """The bytes of a database after each step, a function of a connection; and its facts."""
    states = []
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "x.sqlite")
        c = sqlite3.connect(path, isolation_level=None)
        c.execute("PRAGMA page_size=4096")
        c.execute("PRAGMA secure_delete=ON")
        c.execute("PRAGMA journal_mode=" + ("WAL" if wal else "DELETE"))
        for step in steps:
            c.execute("BEGIN")
            step(c)
            c.execute("COMMIT")
            c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with open(path, "rb") as f:
                data = bytearray(f.read())
            data[96:100] = (3040000).to_bytes(4, "big")  # the version of SQLite that wrote it: of no matter, but not the same everywhere
            states.append((bytes(data), facts(c)))
        c.close()
    return states


def facts(c):
    def pragma(name):
        return c.execute("PRAGMA " + name).fetchone()[0]

    schema = b"".join((v or "").encode() + b"\0" for row in
                      c.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid") for v in row)
    tables = [n for n, in c.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
    return {
        "page_size": pragma("page_size"), "pages": pragma("page_count"), "journal_mode": pragma("journal_mode"),
        "user_version": pragma("user_version"), "application_id": pragma("application_id"),
        "schema_sha256": hashlib.sha256(schema).hexdigest(), "integrity": pragma("quick_check"),
        "foreign_keys": len(c.execute("PRAGMA foreign_key_check").fetchall()),
        "tables": [[n, c.execute('SELECT count(*) FROM "%s"' % n).fetchone()[0]] for n in tables],
    }


def directory(path, **k):
    return Entry(path, "directory", **{"mode": 0o755, **k})


def cutting(pattern, source):
    """A name after which a piece ends: the SHA-256 of its path begins with nine zero bits."""
    for i in range(100000):
        name = pattern % i
        digest = hashlib.sha256(source + b"/" + name).digest()
        if digest[0] == 0 and digest[1] < 128:
            return name


def make_full(out):
    """A small full snapshot with every type of line and every awkward name."""
    store = Store("harbour", "3f0c2a52-7a52-4a37-9a55-0b7f0f6a2d11", "2026-01-02T03:04:00Z")
    s = Snapshot(store, "20260102T030405Z")

    def schema(c):
        c.execute("PRAGMA user_version=-7")
        c.execute("CREATE TABLE boat(id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        c.execute("CREATE TABLE trip(id INTEGER PRIMARY KEY, boat INTEGER REFERENCES boat(id), log TEXT)")
        for i in range(20):
            c.execute("INSERT INTO boat VALUES(?,?)", (i, "boat %d" % i))
        for i in range(200):
            c.execute("INSERT INTO trip VALUES(?,?,?)", (i, i % 20, prose(i, 150).decode()))

    data, about = database(True, schema)[0]
    s.source("db", "sqlite", "/srv/harbour/app.sqlite", consistency="transactional", entries=[
        Entry(b"app.sqlite", data=data, sqlite=about, mode=0o640, uid=1000, gid=1001, user="app", group="app")])
    s.source("config", "file", "/srv/harbour/config.json", [
        Entry(b"config.json", data=b'{"berths": 12, "name": "harbour"}\n', mode=0o600, mtime="1767300000.123456789")])

    holes = prose("holes", 65536) + bytes(3 * 65536) + prose("after", 65536) + bytes(1000)
    s.source("data", "directory", "/srv/harbour/data", [
        directory(b"", mtime="1767225601.000000001"),
        directory(b"a", mtime="1767225602.500000000"),
        Entry(b"a/z", data=b"comes before a.txt\n"),
        Entry(b"a.txt", data=b"comes after a/z\n", mtime="-0.500000000"),
        directory(b"empty", mode=0o700, uid=1000, gid=1000, mtime="-86400.000000000"),
        Entry(b"empty.txt", data=b"", mode=0o444),
        Entry(b"big.txt", data=prose("big", 1400000), xattrs=[("user.colour", b"blue\0\xff")]),
        Entry(b"holes.bin", data=holes),
        Entry(b"zeros.bin", data=bytes(200000)),
        Entry(b"same-as-a.txt", "hardlink", link=b"a.txt"),
        Entry(b"link", "symlink", mode=0o777, link=b"big.txt", mtime="1767225603.000000000"),
        Entry(b"link-away", "symlink", mode=0o777, link=b"../../outside"),
        Entry(b"link-absolute", "symlink", mode=0o777, link=b"/nonexistent/target"),
        Entry(b"link-raw", "symlink", mode=0o777, link=b"caf\xe9.txt"),
        Entry(b"caf\xe9.txt", data=b"this name is Latin-1\n"),
        Entry(b"caf\xc3\xa9.txt", data=b"this name is UTF-8\n"),
        Entry(b"\xef\xbf\xbd", data=b"a real U+FFFD\n"),
        directory(b"dir\xff\xfe"),
        Entry(b"dir\xff\xfe/in it", data=b"below a name that is not text\n"),
        Entry(b"hard\xffraw", "hardlink", link=b"dir\xff\xfe/in it"),
        Entry(b" space before and after ", data=b"1\n"),
        Entry(b"new\nline", data=b"2\n"),
        Entry(b"ends in newlines\n\n", data=b"3\n"),
        Entry(b"-rf", data=b"4\n"),
        Entry(b"--", data=b"5\n"),
        Entry(b"'quotes' \"double\" `touch pwned1` $(touch pwned2) ;touch pwned3", data=b"6\n"),
        Entry(b"*", data=b"7\n"),
        Entry(b"back\\slash\\0101\\n", data=b"8\n"),
        Entry(b"%s%n%2F", data=b"9\n"),
        Entry(b"tab\tand\x1b[31mred\x7f", data=b"10\n"),
        Entry(b"all" + bytes(c for c in range(1, 256) if c != 47)[:250], data=b"11\n"),
        Entry("⛵ 舟.txt".encode(), data=b"12\n"),
        Entry(b"n" * 255, data=b"13\n"),
        directory(b"read-only", mode=0o555, mtime="1700000000.000000000"),
        directory(b"read-only/deeper", mode=0o500),
        Entry(b"read-only/deeper/secret", data=b"14\n", mode=0o400, xattrs=[("user.kept", b"yes")]),
        Entry(b"read-only/link", "symlink", mode=0o777, link=b"deeper/secret"),
        directory(b"shared", mode=0o1777),
        Entry(b"nobody's", data=b"15\n", uid=None, gid=None, user=None, group=None),
        Entry(b"from the future", data=b"16\n", mtime="4102444800.999999999"),
        Entry(cutting(b"log-%d.txt", b"data"), data=b"a piece of the files table ends here\n"),
    ])
    s.commit()
    save(out, "full", store, [s])


def make_incremental(out):
    """Five nights: what later snapshots did not change lies in the archives of earlier ones."""
    store = Store("ledger", "b7a3d1c0-58d5-4b3f-8a7f-6d0b1f4f9c02", "2026-01-05T02:00:00Z", archive_max=4 * MiB)
    pages = 2300
    body = prose("body", 3800).decode()

    def night1(c):
        c.execute("CREATE TABLE entry(id INTEGER PRIMARY KEY, body TEXT)")
        c.execute("CREATE TABLE scan(id INTEGER PRIMARY KEY, image BLOB)")
        for i in range(pages):
            c.execute("INSERT INTO entry VALUES(?,?)", (i, "%07d %s" % (i, body)))
        c.execute("INSERT INTO scan VALUES(1,?)", (prose("gone", 100) * 10000,))
        c.execute("INSERT INTO scan VALUES(2,?)", (prose("scan", 100) * 72000,))

    def night2(c):
        c.execute("UPDATE entry SET body='night 2' || substr(body, 8) WHERE id BETWEEN 100 AND 160")
        c.execute("DELETE FROM scan WHERE id=1")  # secure_delete leaves pages of zeros

    def night3(c):
        c.execute("UPDATE entry SET body='night 3' || substr(body, 8) WHERE id%2=0 AND id<1200")

    def night4(c):
        c.execute("UPDATE entry SET body='night 4' || substr(body, 8) WHERE id IN (3, 5, 1900)")

    states = database(False, night1, night2, night3, night4)
    grown = prose("log", 300000)
    picture = bytearray(prose("picture", 1500000))
    settings = b'{"currency": "EUR"}\n'
    before, after = cutting(b"cuts/%05d.txt", b"files"), cutting(b"docs/zz-%05d.txt", b"files")

    def files(night):
        entries = [directory(b""), directory(b"cuts"), directory(b"docs"), directory(b"inbox")]
        for i in range(30):
            entries.append(Entry(b"docs/report-%02d.txt" % i, data=prose("report %d" % i, 900 + 37 * i)))
        for cut in (before, after):  # so that docs is a piece of its own, the same in every night
            entries.append(Entry(cut, data=b"a piece of the files table ends here\n"))
        if night >= 2:
            picture[700000:700010] = b"retouched!"
        if night >= 3:
            picture[200000:420000] = bytes(220000)
            entries.append(Entry(b"inbox/new.txt", data=b"first seen in night 3\n", mtime="1767751200.000000000"))
        entries.append(Entry(b"picture.raw", data=bytes(picture)))
        entries.append(Entry(b"audit.log", data=grown[:100000 + 50000 * night], marked="grew" if night == 4 else None,
                             mtime="17676%05d.000000000" % night))
        if night < 3:
            entries.append(Entry(b"inbox/old.txt", data=b"deleted before night 3\n"))
        entries.append(Entry(b"latest", "symlink", mode=0o777, link=b"docs/report-%02d.txt" % night))
        return entries

    def night(n, base, removed=False, **head):
        s = Snapshot(store, "2026010%dT020000Z" % (4 + n), base)
        data, about = states[min(n, 4) - 1]
        s.source("db", "sqlite", "/srv/ledger/ledger.sqlite", consistency="transactional", entries=[
            Entry(b"ledger.sqlite", data=data, sqlite=about, mode=0o600, mtime="17676%05d.250000000" % n)])
        s.source("files", "directory", "/srv/ledger/files", files(min(n, 4)), consistency="fuzzy" if n == 4 else "stable")
        if not head:
            s.source("settings", "file", "/srv/ledger/settings.json", [Entry(b"settings.json", data=settings)], optional=True)
        s.commit(removed, **head)
        return s

    first = night(1, None)
    second = night(2, first, removed=True)
    third = night(3, second)
    fourth = night(4, third, state="incomplete", problem_count=1, consistency={"level": "fuzzy", "skew_us": 2300000},
                   problems=[{"source": "settings", "path": "settings/settings.json", "kind": "unreadable", "detail": "permission denied"}],
                   omitted=[{"source": "settings", "why": "permission denied"}])
    fifth = night(5, fourth)  # nothing but the clock and the settings

    store.put("pins/" + first.id, b"")
    orphan = Snapshot(Store("ledger", "", ""), "20260109T030000Z")
    orphan.source("db", "file", "/srv/ledger/x", [Entry(b"x", data=prose("orphan", 5000))])
    for key, data in orphan.store.objects.items():
        if key.startswith("archives/"):
            store.put(key, data)
    store.put("archives/.upload-7f3a", b"not an archive: objects with other names are ignored\n")
    save(out, "incremental", store, [first, second, third, fourth, fifth])


def save(out, name, store, snapshots):
    d = os.path.join(out, name)
    shutil.rmtree(d, ignore_errors=True)
    store.write(os.path.join(d, "store"))
    for s in snapshots:
        with open(os.path.join(d, s.stamp + ".expected.json"), "w", encoding="utf-8", newline="\n") as f:
            e = s.expected()
            f.write('{"id": %s, "files": [\n' % json.dumps(e["id"]))
            f.write(",\n".join(json.dumps(line) for line in e["files"]))
            f.write("\n]}\n")


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "stores")
    make_full(out)
    make_incremental(out)


if __name__ == "__main__":
    main()
