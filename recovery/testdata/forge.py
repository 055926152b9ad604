#!/usr/bin/env python3
"""Makes stores that an attacker might have written: python3 forge.py DIR

Every digest in them is right; what they say is not. Each lies in DIR/<name>/store and holds one snapshot,
20260102T030405Z. DIR/attacks.json lists them: {"name", "by": which programs must refuse it before they write anything
("both" or "py": jq cannot see some things), or "lost": some file must be missing afterwards, or "piece": a piece of
the files table must, or "cli": lifeboat itself must refuse it, the others may, or "text": nobody must, but it has text that a terminal would act on}. Two more stores are
no attacks: honest, and setuid, in which data/plain has the mode 5755.
"""

import base64
import copy
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "testdata"))

import storewriter as w
from storewriter import Entry, Packer, Snapshot, Store

STAMP = "20260102T030405Z"


class Parts:
    """A small honest snapshot, taken to pieces."""

    def __init__(self):
        w.MAX_EXTENTS = 2  # so that a small file has maps
        self.store = Store("forged", "c0ffee00-0000-4000-8000-000000000000", "2026-01-02T03:04:00Z")
        s = Snapshot(self.store, STAMP)
        s.source("conf", "file", "/conf", [Entry(b"conf.json", data=b"{}\n")])
        s.source("data", "directory", "/data", [
            Entry(b"", "directory", 0o755),
            Entry(b"dir", "directory", 0o755),
            Entry(b"dir/file", data=b"content\n"),
            Entry(b"hard", "hardlink", link=b"dir/file"),
            Entry(b"link", "symlink", 0o777, link=b"dir"),
            Entry(b"plain", data=b"more content\n" * 100),
            Entry(b"sparse", data=(b"x" * 65536 + bytes(65536)) * 3),
            Entry(b"zz", "directory", 0o755),
        ])
        s.commit()
        self.head = json.loads(s.head)
        self.objects = {k: v for k, v in self.store.objects.items() if k.startswith("archives/") or k == "lifeboat.json"}
        roots = {w.sha256(v): v for k, v in self.objects.items() if k.startswith("archives/")}
        tar = {line["sha256"]: self.tar(roots[line["sha256"]]) for line in self.head["roots"]}
        self.tables = {}
        for name in ("files", "archives"):
            data = b"".join(tar[self.head["roots"][p[1]]["sha256"]][p[2]:p[2] + p[3]] for p in self.head[name]["pieces"])
            first, *lines = data.decode().splitlines()
            self.tables[name] = [json.loads(first)] + [json.loads(line) for line in lines]
        maps = next(d for d in self.tables["files"][1:] if "maps" in d)["maps"]
        index, off, length, _ = maps[0]
        sha = self.tables["files"][0]["archives"][index]
        data = self.tar(roots[sha])[off:off + length]
        self.map = [json.loads(line) for line in data.decode().splitlines()]

    @staticmethod
    def tar(stored):
        return subprocess.run(["zstd", "-dcq"], input=stored, stdout=subprocess.PIPE, check=True).stdout

    def line(self, path):
        return next(d for d in self.tables["files"][1:] if d["path"] == path)

    def add(self, d, after=None):
        """Adds a line to the files table, in order or behind a path."""
        lines = self.tables["files"]
        if after is not None:
            lines.insert(1 + [x["path"] for x in lines[1:]].index(after) + 1, d)
        else:
            lines.append(d)
            lines[1:] = sorted(lines[1:], key=lambda x: base64.b64decode(x["raw"]).split(b"/") if "raw" in x
                               else x["path"].encode("utf-8", "surrogatepass").split(b"/"))


def assemble(parts, edit_head, raw):
    """Puts the parts together again, with digests that fit."""
    store = Store("forged", "c0ffee00-0000-4000-8000-000000000000", "2026-01-02T03:04:00Z")
    store.objects.update(parts.objects)
    archives = parts.tables["archives"]

    packer = Packer(store)
    data = w.dump(parts.map[0]) + b"\n" + b"".join(w.dump(d) + b"\n" for d in parts.map[1:])
    archive, off = packer.add(".lifeboat/maps/forged", data, len(data))
    packer.finish()
    for d in parts.tables["files"][1:]:
        if len(d.get("maps", [])) == 1:
            names = parts.tables["files"][0]["archives"]
            if archive.sha256 not in names:
                names.append(archive.sha256)
            if archive.sha256 not in [a["sha256"] for a in archives[1:]]:
                archives.append(archive.line)
                archives[1:] = sorted(archives[1:], key=lambda a: a["sha256"])
            d["maps"] = [[names.index(archive.sha256), off, len(data), w.sha256(data)]]

    head = copy.deepcopy(parts.head)
    parts.late(parts)
    packer = Packer(store)
    places = {}
    for name in ("files", "archives"):
        data = raw(name, b"".join(w.dump(d) + b"\n" for d in parts.tables[name]))
        places[name] = packer.add(".lifeboat/pieces/" + name, data, len(data)) + (data,)
    packer.finish()
    head["roots"] = [places["files"][0].line]
    for name in ("files", "archives"):
        archive, off, data = places[name]
        first = parts.tables[name][1]
        head[name]["pieces"] = [[first.get("path") or first["sha256"], 0, off, len(data), w.sha256(data)]]
    lines = parts.tables["files"][1:]
    head["files"]["count"] = len(lines)
    head["files"]["bytes"] = sum(d.get("size", 0) for d in lines if isinstance(d.get("size", 0), int))
    head["archives"]["count"] = len(archives) - 1
    head["archives"]["bytes"] = sum(d["size"] for d in archives[1:])
    for s in head["sources"]:
        mine = [d for d in lines if str(d["path"]).split("/")[0] == s["name"]]
        s["files"], s["bytes"] = len(mine), sum(d.get("size", 0) for d in mine if isinstance(d.get("size", 0), int))
    edit_head(head)
    stored = w.compress(w.dump(head))
    store.put("manifests/%s-%s.json.zst" % (STAMP, w.sha256(stored)), stored)
    return store


ATTACKS = []


def attack(name, change=lambda p: None, by="both", head=lambda h: None, raw=lambda name, data: data, late=lambda p: None):
    """Registers an attack: change is done to the parts, late once maps and archives are in their places, head to the
    head, and raw to the bytes of a table."""
    ATTACKS.append((name, by, head, raw, late, change))


def file(path, **k):
    return {"path": path, "type": "file", "mode": "0644", "mtime": "1767225600.000000000", "size": 0,
            "sha256": w.sha256(b""), **k}


def link(path, to, **k):
    return {"path": path, "type": "symlink", "mode": "0777", "link": to, **k}


def put(*lines, after=None):
    def change(p):
        last = after
        for d in lines:
            p.add(d, last)
            if last is not None:
                last = d["path"]
    return change


def setting(name, **k):
    def change(p):
        d = p.line(name)
        for key, value in k.items():
            if value is None:
                d.pop(key, None)
            else:
                d[key] = value
    return change


def extents(path, value):
    return setting(path, extents=value)


TEXT = "\x1b[2J\x1b]0;title\x07\r\nFAKE  ok\x7f\u009b31m\u202e\u2028\u200b"


def text_in_head(h):
    h["tool"] = TEXT
    h["host"] = {"name": TEXT, "os": TEXT, "arch": TEXT}
    h["problems"] = [{"source": TEXT, "path": TEXT, "kind": TEXT, "detail": TEXT}, {"path": TEXT, "kind": "corrupt", "detail": TEXT}]
    h["problem_count"] = 2
    h["omitted"] = [{"source": TEXT, "why": TEXT}]
    for s in h["sources"]:
        s["root"] = TEXT


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def declare():
    # Paths that lead outside.
    attack("dot-dot", put(file("data/../../escaped"), after="data"))
    attack("dot-dot-first", put(file("../escaped")))
    attack("absolute", put(file("/escaped")))
    attack("double-slash", put(file("data//escaped")))
    attack("dot", put(file("data/./escaped")))
    attack("trailing-slash", put(file("data/zz/")))
    attack("zero-byte", put(file("data/zz/a\0b")))
    attack("raw-dot-dot", put(file("data/zz/x", raw=w.b64(b"data/zz/../../../escaped\xff"))))
    attack("raw-absolute", put(file("data/zz/x", raw=w.b64(b"/escaped\xff"))))
    attack("raw-not-base64", put(file("data/zz/x", raw="$(touch escaped)")))
    attack("empty-path", put(file("")))
    attack("path-is-a-number", setting("data/plain", path=7))
    attack("path-too-long", put(file("data/zz/" + "x/" * 17000 + "x")))
    attack("below-symlink", put(link("data/out", "../.."), file("data/out/escaped")))
    attack("below-file", put(file("data/plain/escaped")))
    attack("below-nothing", put(file("data/none/escaped")))
    attack("dir-below-symlink", put(link("data/out", "/"), {"path": "data/out/d", "type": "directory", "mode": "0755"}))
    attack("source-is-symlink", setting("data", type="symlink", link="/", mode=None))
    attack("unknown-source", put(file("other/file")))
    attack("source-named-dot-dot", put(file("../escaped")), head=lambda h: h["sources"].append(
        {"name": "..", "type": "file", "root": "/x", "files": 1}))
    attack("source-twice", head=lambda h: h["sources"].append(h["sources"][0]))
    attack("twice-in-single", put(file("conf/more.json")))
    attack("single-is-directory", setting("conf/conf.json", type="directory", size=None, sha256=None, extents=None, chunk=None))
    attack("single-is-deep", setting("conf/conf.json", path="conf/a/b"))
    attack("single-is-symlink", setting("conf/conf.json", type="symlink", link="/etc", size=None, sha256=None, extents=None))
    attack("same-path-twice", put(file("data/plain"), after="data/plain"))
    attack("dir-and-link-of-one-name", put(link("data/zz", "/"), after="data/zz"))
    attack("not-in-order", put(file("data/aaa"), after="data/zz"))
    # Links.
    attack("hardlink-outside", setting("data/hard", link="../../outside"))
    attack("hardlink-absolute", setting("data/hard", link="/etc/hostname"))
    attack("hardlink-other-source", setting("data/hard", link="conf/conf.json"))
    attack("hardlink-later", setting("data/hard", link="data/plain"))
    attack("hardlink-itself", setting("data/hard", link="data/hard"))
    attack("hardlink-raw", setting("data/hard", raw_link=w.b64(b"data/../../outside\xff")))
    attack("hardlink-directory", setting("data/hard", link="data/dir"))
    attack("hardlink-nothing", setting("data/hard", link="data/aaa"))
    attack("hardlink-to-symlink", put({"path": "data/m", "type": "hardlink", "link": "data/link"}))
    attack("hardlink-to-hardlink", put({"path": "data/i", "type": "hardlink", "link": "data/hard"}))
    attack("hardlink-to-single", setting("data/dir/file", links=None))
    attack("symlink-zero-byte", setting("data/link", link="a\0b"))
    attack("symlink-empty", setting("data/link", link=""))
    # Words that a careless reader would run or believe.
    attack("type-device", setting("data/plain", type="device"))
    attack("mode-command", setting("data/plain", mode="$(touch escaped)"))
    attack("mode-long", setting("data/plain", mode="00644"))
    attack("mtime-command", setting("data/plain", mtime="0; touch escaped"))
    attack("uid-negative", setting("data/plain", uid=-1))
    attack("uid-text", setting("data/plain", uid="0:0 /etc"))
    attack("sha256-command", setting("data/plain", sha256="$(touch escaped)"))
    attack("sha256-short", setting("data/plain", sha256="00"))
    attack("archive-name-dot-dot", lambda p: p.tables["files"][0]["archives"].__setitem__(0, "../../escaped"))
    attack("archive-name-upper", lambda p: p.tables["files"][0]["archives"].__setitem__(0, "AB" * 32))
    attack("format-2", head=lambda h: h.update(format="lifeboat/2"))
    attack("no-format", head=lambda h: h.pop("format"))
    attack("other-stamp", head=lambda h: h.update(stamp="20270102T030405Z"))
    attack("head-empty", head=lambda h: h.clear())
    # Numbers.
    attack("size-wrong", setting("data/plain", size=1301))
    attack("size-huge", setting("data/plain", size=1 << 60))
    attack("size-negative", setting("data/plain", size=-1))
    attack("size-fraction", setting("data/plain", size=1300.5))
    attack("size-text", setting("data/plain", size="1300"))
    attack("content-wrong", setting("data/plain", sha256="0" * 64), by="lost")
    attack("extent-outside", late=extents("data/plain", [[0, 1 << 31, 1300]]))
    attack("extent-index", late=extents("data/plain", [[99, 512, 1300]]))
    attack("extent-negative-index", late=extents("data/plain", [[-2, 512, 1300]]))
    attack("extent-negative", late=extents("data/plain", [[0, -512, 1300]]))
    attack("extent-fraction", late=extents("data/plain", [[0, 0.5, 1300]]))
    attack("extent-infinite", late=extents("data/plain", [[0, 1e300, 1300]]))
    attack("extent-empty", late=extents("data/plain", [[0, 512, 0], [0, 512, 1300]]))
    attack("extent-of-two", late=extents("data/plain", [[0, 512]]))
    attack("extent-of-text", late=extents("data/plain", [["0", "512", "1300"]]))
    attack("extent-object", late=extents("data/plain", {"0": [0, 512, 1300]}))
    attack("extent-large", setting("data/plain", size=(1 << 20) + 1), late=extents("data/plain", [[0, 0, (1 << 20) + 1]]))
    attack("extent-sum-overflow", late=extents("data/plain", [[-1, 0, 1 << 62]] * 4))
    attack("extent-truth", late=extents("data/plain", [[False, 512, 1300]]))
    attack("archive-not-listed", late=lambda p: p.tables["files"][0]["archives"].__setitem__(0, "ab" * 32))
    attack("archives-not-in-order", late=lambda p: p.tables["archives"].__setitem__(slice(1, None), p.tables["archives"][:0:-1]))
    attack("map-short", lambda p: p.map[1]["extents"].pop())
    attack("map-outside", lambda p: p.map[1]["extents"][0].__setitem__(1, 1 << 31))
    attack("map-not-listed", lambda p: p.map[0]["archives"].__setitem__(0, "ab" * 32))
    attack("map-beside-extents", late=setting("data/sparse", extents=[[-1, 0, 393216]]))
    attack("map-missing", late=setting("data/sparse", maps=[]))
    attack("map-too-many", late=lambda p: p.line("data/sparse")["maps"].extend(p.line("data/sparse")["maps"]))
    attack("count-wrong", head=lambda h: h["files"].update(count=h["files"]["count"] + 1))
    attack("sum-wrong", head=lambda h: h["files"].update(bytes=0))
    attack("archive-count-wrong", head=lambda h: h["archives"].update(count=1))
    attack("source-count-wrong", head=lambda h: h["sources"][0].update(files=7))
    attack("piece-index", head=lambda h: h["files"]["pieces"][0].__setitem__(1, 5))
    attack("piece-outside", head=lambda h: h["files"]["pieces"][0].__setitem__(2, 1 << 31))
    attack("piece-large", head=lambda h: h["files"]["pieces"][0].__setitem__(3, 1 << 25))
    attack("piece-digest", head=lambda h: h["files"]["pieces"][0].__setitem__(4, "$(touch escaped)"))
    attack("piece-digest-wrong", by="piece", head=lambda h: h["files"]["pieces"][0].__setitem__(4, "0" * 64))
    attack("map-digest-wrong", by="lost", late=lambda p: p.line("data/sparse")["maps"][0].__setitem__(3, "0" * 64))
    attack("root-hash", head=lambda h: h["roots"][0].update(sha256="../../../outside"))
    attack("frames-wrong", by="py", head=lambda h: h["roots"][0].update(frames=[1]))
    attack("size-of-root-wrong", by="py", head=lambda h: h["roots"][0].update(size=5, frames=[5]))
    # Text. jq repairs what is not UTF-8, takes the last of two keys, and knows no depth.
    attack("not-utf-8", by="py", raw=lambda n, d: d.replace(b"data/plain", b"data/pl\xffin"))
    attack("lone-surrogate", by="py", raw=lambda n, d: d.replace(b"data/plain", b"data/pl\\ud800in"))
    attack("key-twice", by="py", raw=lambda n, d: d.replace(b'"path":"data/plain"', b'"path":"data/plain","path":"data/plain"'))
    attack("key-upper", by="py", raw=lambda n, d: d.replace(b'"path":"data/plain"', b'"path":"data/plain","Path":"x"'))
    attack("not-a-number", raw=lambda n, d: d.replace(b'"size":1300', b'"size":NaN'))
    attack("deep", raw=lambda n, d: d.replace(b'"size":1300', b'"size":' + b"[" * 200000) if n == "files" else d)
    attack("cut", raw=lambda n, d: d[:-20] if n == "files" else d)
    attack("mark-in-piece", put(file("data/none/below")), raw=lambda n, d: d.replace(
        b'{"path":"data/dir"', b'["%s",false]\n{"path":"data/dir"' % STAMP.encode()) if n == "files" else d)
    attack("null-line", raw=lambda n, d: d.replace(b'{"path":"data/dir"', b'null\n{"path":"data/dir"') if n == "files" else d)
    attack("bomb", head=lambda h: h.update(tool=" " * (65 << 20)))
    attack("deep-head", by="py", head=lambda h: h.update(later=nested(17)))
    attack("many-objects", by="py", head=lambda h: h.update(later=[{}] * 70000))
    attack("many-problems", by="cli", head=lambda h: h.update(problems=[{"kind": "x"}] * 101, problem_count=101))
    attack("problems-uncounted", by="cli", head=lambda h: h.update(problems=[{"kind": "x"}]))
    attack("root-twice", by="cli", head=lambda h: h["roots"].append(h["roots"][0]))
    attack("frame-huge", by="py", head=lambda h: h["roots"][0].update(size=4 << 30, frames=[4 << 30]))
    attack("type-fifo", setting("data/plain", type="fifo"))
    attack("setuid-beyond", setting("data/plain", mode="17777"))
    attack("hardlink-pair", lambda p: (put({"path": "data/i", "type": "hardlink", "link": "data/hard"})(p),
                                       setting("data/hard", link="data/i")(p)))
    attack("extent-in-table", by="lost", late=lambda p: p.line("data/plain").update(extents=[[0, 0, 1300]]))
    attack("chunk-zero", by="cli", late=setting("data/plain", chunk=None))
    attack("xattr-no-name", by="cli", change=setting("data/plain", xattrs=[["", ""]]))
    attack("xattrs-too-many", by="py", change=setting("data/plain", xattrs=[["user.%05d" % n, ""] for n in range(1025)]))
    attack("xattrs-too-large", by="py", change=setting("data/plain", xattrs=[["user.a", base64.b64encode(bytes(1 << 20)).decode()]]))
    attack("xattrs-not-in-order", by="cli", change=setting("data/plain", xattrs=[["b", ""], ["a", ""]]))
    attack("mtime-beyond", by="cli", change=setting("data/plain", mtime="9223372036854775807.000000000"))
    attack("two-heads", by="cli", head=lambda h: h.update(Format="lifeboat/2"))
    # Text that a terminal would act on, and names that only some systems tell apart: legal, and to be shown with care.
    attack("text-in-head", by="text", head=text_in_head)
    attack("text-in-names", lambda p: [put(x)(p) for x in (
        file("data/zz/" + TEXT), link("data/zz/a", TEXT), file("data/zz/b", user=TEXT, group=TEXT),
        file("data/zz/c", xattrs=[["user." + TEXT, ""]]),
        file("data/zz/" + "\ufffd" * 2 + TEXT, raw=w.b64(b"data/zz/\xff\x9b" + TEXT.encode())),
        link("data/zz/d", "\ufffd" + TEXT, raw_link=w.b64(b"\xff" + TEXT.encode())))], by="text")
    attack("names-by-case", lambda p: [put(file("data/zz/" + x))(p) for x in ("File", "file", "FILE", "\u00e9", "e\u0301", "CON", "a:b", "a\\b", "end.", "-rf", "~")],
           by="text")


def main():
    out = sys.argv[1]
    declare()
    honest = Parts()
    listed = []
    for name, by, head, raw, late, change in ATTACKS:
        parts = copy.deepcopy(honest)
        parts.late = late
        change(parts)
        assemble(parts, head, raw).write(os.path.join(out, name, "store"))
        listed.append({"name": name, "by": by})
    honest.late = lambda p: None
    assemble(honest, lambda h: None, lambda n, d: d).write(os.path.join(out, "honest", "store"))
    honest.line("data/plain")["mode"] = "5755"
    assemble(honest, lambda h: None, lambda n, d: d).write(os.path.join(out, "setuid", "store"))
    with open(os.path.join(out, "attacks.json"), "w") as f:
        json.dump(listed, f)


if __name__ == "__main__":
    main()
