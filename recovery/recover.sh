#!/bin/sh
# Rebuilds a snapshot from a lifeboat store with standard tools; lifeboat itself is not needed.
#
#     sh recover.sh                list the snapshots of the store in this directory
#     sh recover.sh STAMP DIR      rebuild one into DIR, which must be new or empty
#
# STAMP is a stamp as listed, the beginning of one that fits only one snapshot, or a full ID (the name of a manifest
# without .json.zst). The store is the directory one stands in, or else the one where this file lies. It may also be
# somewhere else: when LIFEBOAT_FETCH is set, `$LIFEBOAT_FETCH KEY` is run by sh, and must write the object KEY to its
# standard output; STAMP must then be a full ID.
#
# Every object is checked against its name, every table and every file against its SHA-256. A file that cannot be had
# whole and right is not written; everything else is. What is damaged, and what is missing for it, is named on standard
# error, and the exit code says what came of it:
#
#     0   everything is there
#     1   something could not be written, or a program is missing
#     3   everything is there, but the snapshot itself says that it is incomplete
#     4   something is damaged or missing, or the store breaks the rules of its format
#     8   DIR is not empty; nothing was done
#     10  there is no store here
#     13  there is no such snapshot
#     64  wrong arguments
#
# Needs jq 1.6 or later, zstd, and GNU coreutils (those of busybox are not enough, nor are those of BSD or macOS). Owners are restored for root, by number. The setuid and setgid bits are restored only with
# LIFEBOAT_PRIVILEGED=1: whoever could write to the store could plant them. Extended attributes are not restored, and a
# store is read less strictly than by recover.py, since jq takes the last of two equal keys and mends text that is not
# UTF-8; recover.py is also much faster when there are many files or many small changes.
#
# DIR needs room for the files, and for one archive at a time as it is and unpacked (a few dozen MiB), which lie in
# DIR/.lifeboat-recover meanwhile, with the tables of the snapshot.
#
# The format is described by docs/format.md in lifeboat's source; this script was written from that page alone.

set -u
set -f # no name from a store is ever a pattern
LC_ALL=C
export LC_ALL

MAX_HEAD_STORED=8388608
MAX_HEAD=67108864
MAX_ARCHIVE=4294967296

usage() {
	sed -n '4,5s/^# *//p' "$0" >&2
	exit 64
}

stop() { # CODE MESSAGE
	printf 'recover.sh: %s\n' "$2" >&2
	exit "$1"
}

# Messages about single objects and files. DAMAGED and LOST lead to exit code 4, FAILED to 1.

damaged() { # OBJECT WHY
	grep -Fxq -e "$1" "$T/damaged" && return
	printf '%s\n' "$1" >>"$T/damaged"
	printf 'DAMAGED  %s: %s\n' "$1" "$2" >&2
}

lost() { # FILE WHY
	echo x >>"$T/lost"
	printf 'LOST     %s: %s\n' "$1" "$2" >&2
}

failed() { # FILE WHY
	echo x >>"$T/failed"
	printf 'FAILED   %s: %s\n' "$1" "$2" >&2
}

count() { wc -l <"$1" | tr -d ' '; }
size() { wc -c <"$1" | tr -d ' '; }
sha256() { sha256sum <"$1" | cut -c1-64; }

# Where objects come from.

get() { # KEY LIMIT: the object becomes $object, a file; false when it cannot be had
	if [ -z "$FETCH" ]; then
		object=$STORE/$1
		[ -f "$object" ] && [ -r "$object" ]
		return
	fi
	object=$T/object
	{
		sh -c "$FETCH \"\$1\"" recover.sh "$1" </dev/null
		echo $? >"$T/code"
	} | head -c $(($2 + 1)) >"$object"
	[ "$(cat "$T/code")" = 0 ] || [ "$(size "$object")" -gt "$2" ]
}

# unpack SHA256 SIZE LENGTH: the tar stream of an archive becomes $T/tar. An archive that is not what its name says is
# used as far as it can be unpacked: whatever comes out of it is checked once more.
unpack() {
	key=archives/$1.tar.zst
	: >"$T/tar"
	if ! get "$key" "$2"; then
		damaged "$key" "cannot be read"
		return
	fi
	if [ "$(sha256 "$object")" != "$1" ]; then
		damaged "$key" "its SHA-256 is not the one in its name ($(size "$object") bytes)"
	fi
	zstd -dcq <"$object" 2>/dev/null | head -c "$3" >"$T/tar"
}

# cut_out OFF LEN FILE: a part of $T/tar as a file
cut_out() {
	dd if="$T/tar" of="$3" bs=1048576 iflag=skip_bytes,count_bytes skip="$1" count="$2" 2>/dev/null
}

# The ways of jq. Everything that leaves jq for the shell is a line of words without spaces: numbers, digests, and paths
# written as =text with every unusual byte as \0ooo, which printf %b turns back; the last word may be a text for people,
# in which nothing can disturb a terminal. A line that begins with E is a rule that the store breaks.

COMMON='
def broken($why): error("broken: " + $why);
def int($most): if type == "number" and . >= 0 and . <= $most and floor == . then floor + 0 else broken("a number that is none, or out of range") end;
def word($allowed): type == "string" and length > 0 and (explode - ($allowed | explode) | length) == 0;
def digest: if word("0123456789abcdef") and length == 64 then . else broken("a SHA-256 that is none") end;
def list: . // [] | if type == "array" then . else broken("a list that is none") end;
def people: tostring | explode | map(if . < 32 or (. >= 127 and . < 160) or (. >= 8206 and . <= 8207)
	or (. >= 8232 and . <= 8238) or (. >= 8294 and . <= 8297) or . == 65279 then 63 else . end) | implode | .[0:300];

# Text as a string with one character for each of its bytes, so that comparing compares bytes.
def bytes: if utf8bytelength == length then . else
	[explode[] | if . < 128 then . elif . < 2048 then (192 + (. / 64 | floor), 128 + . % 64)
	elif . < 65536 then (224 + (. / 4096 | floor), 128 + (. / 64 | floor) % 64, 128 + . % 64)
	else (240 + (. / 262144 | floor), 128 + (. / 4096 | floor) % 64, 128 + (. / 64 | floor) % 64, 128 + . % 64) end] | implode end;
def unbase64: if type == "string" and length % 4 == 0 then . else broken("base64 that is none") end
	| [explode[] | if . >= 65 and . <= 90 then . - 65 elif . >= 97 and . <= 122 then . - 71 elif . >= 48 and . <= 57 then . + 4
		elif . == 43 then 62 elif . == 47 then 63 elif . == 61 then -1 else broken("base64 that is none") end] as $v
	| [range(0; $v | length; 4) as $i | ($v[$i] * 4 + ($v[$i + 1] / 16 | floor)),
		(if $v[$i + 2] < 0 then empty else $v[$i + 1] % 16 * 16 + ($v[$i + 2] / 4 | floor) end),
		(if $v[$i + 3] < 0 then empty else $v[$i + 2] % 4 * 64 + $v[$i + 3] end)]
	| if all(.[]; . >= 0) then implode else broken("base64 that is none") end;
def octal: [.[] | if (. >= 45 and . <= 57) or (. >= 65 and . <= 90) or . == 95 or (. >= 97 and . <= 122) then [.]
	else [92, 48, 48 + (. / 64 | floor), 48 + (. / 8 | floor) % 8, 48 + . % 8] end] | add // [] | implode;
def shell: "=" + (explode | octal);
'

# The head: sources, pieces of the two tables, and what it says about itself.
HEAD="$COMMON"'
def run: if type == "object" and .format == "lifeboat/1" then . else broken("its format is not known to this script: " + (.format? | people)) end
	| if .stamp == $stamp then . else broken("its stamp is " + (.stamp | people)) end
	| [.roots | list[] | {sha: (.sha256 | digest), size: (.size | int(4294967296)), length: (.length | int(4294967296))}] as $roots
	| (.sources | list | if (map(.name) | unique | length) == length then .[] else broken("two sources have one name") end
		| if (.name | word("abcdefghijklmnopqrstuvwxyz0123456789._-") and length <= 64) and (.name[0:1] | word("abcdefghijklmnopqrstuvwxyz0123456789")) then . else broken("a bad name of a source") end
		| if .type == "sqlite" or .type == "file" or .type == "directory" then empty else broken("a source of a type that is not known") end),
	(("files", "archives") as $table | .[$table].pieces | list | to_entries[] | .key as $n | .value
		| (.[1] | int(($roots | length) - 1)) as $r
		| if $roots[$r] then . else broken("a piece in no archive") end
		| if (.[2] | int(4294967296)) + (.[3] | int(16777216)) <= $roots[$r].length then . else broken("a piece outside its archive") end
		| "P \($table) \($n) \($roots[$r].sha) \($roots[$r].size) \($roots[$r].length) \(.[2] | int(4294967296)) \(.[3] | int(16777216)) \(.[4] | digest) \(.[0] | people)"),
	(if .state == "complete" then empty else "I", ((.problems | list[]), (.omitted | list[]) | "I   " + (map(.) | map(people) | join(" "))) end);
try run catch ("E " + people)
'

# The pieces of a table arrive one after the other, each behind a mark, [ID of the snapshot, true], or [ID, false] when it
# is lost. No piece can contain such a mark, since the ID is a digest that goes over its own.

# The archives table: one line of hash, size and length each.
ARCHIVES="$COMMON"'
def run: foreach ((inputs | [.]), []) as $in ({prev: "", n: 0, sum: 0, lost: false, first: true, line: null};
	$in[0] as $l | .line = null
	| if $in == [] then if .lost or (.n == ($head[0].archives.count // 0) and .sum == ($head[0].archives.bytes // 0)) then . else broken("the archives do not add up") end
	elif $l == [$id, true] then .first = true
	elif $l == [$id, false] then .lost = true
	elif .first then .first = false
	else ($l.sha256 | digest) as $sha | if $sha > .prev then . else broken("the archives are not in order") end
		| .prev = $sha | .n += 1 | .sum += ($l.size | int(4294967296))
		| .line = "\($sha) \($l.size | int(4294967296)) \($l.length | int(4294967296))"
	end;
	.line // empty);
try run catch ("E " + people)
'

# Extents that follow each other become one, zeros become none: X hash offset length file place-in-file
EXTENTS='
def extents($archives; $n; $from; $expect):
	foreach ((.[] | [.]), []) as $in ({at: $from, line: null, a: null, off: 0, len: 0, place: 0};
		def emit: .line = (if .a == null then null else "X \($archives[.a]) \(.off) \(.len) \($n) \(.place)" end) | .a = null;
		.line = null | $in[0] as $e
		| if $in == [] then if .at == $from + $expect then emit else broken("extents that do not add up") end
		elif $e | type != "array" or length != 3 then broken("an extent that is not three numbers")
		else ($e[2] | int(9007199254740991)) as $len | (if $len < 1 then broken("an empty extent") else . end)
			| if $e[0] == -1 then .
			else ($e[0] | int(($archives | length) - 1)) as $a | ($e[1] | int(4294967296)) as $off
				| if $len > 1048576 then broken("an extent of more than 1 MiB") else . end
				| if .a == $a and .off + .len == $off and .place + .len == .at then .len += $len
				else emit | .a = $a | .off = $off | .len = $len | .place = .at end
			end
			| .at += $len
		end;
		.line // empty);
'
# The files table: what to make, in order, as lines
#     D n mode uid gid mtime =path text        F n mode uid gid mtime size sha256 =path text
#     L n uid gid mtime =path =target text     H n =path =target text
# then X lines, and for each map of a file: M hash offset length sha256 n place span text
FILES="$COMMON$EXTENTS"'
def path: if length > 0 and length <= 32768 and (explode | index(0)) == null then . else broken("a path that is empty, too long or has a zero byte") end
	| split("/") | if any(.[]; . == "" or . == "." or . == "..") then broken("a path that leads outside: " + (join("/") | people)) else . end;
def raw($text; $raw): if $raw != null then $raw | unbase64 elif $text | type == "string" then $text | bytes else broken("a path that is no text") end;
def owner: if . == null then "-" else int(4294967294) end;
def mtime: if . == null then "-" elif word("-.0123456789") and length < 25 then . else broken("a time that is none") end;
def mode: if . == null then "-" elif word("01234567") and length == 4 then . else broken("a mode that is none") end;
def below($dir): .[0:$dir | length] == $dir and length > ($dir | length);
def run: ($head[0].sources | list | map({key: .name, value: .type}) | from_entries) as $sources
	| foreach ((inputs | [.]), []) as $in ({archives: [], key: [], dirs: [], leaf: null, linkable: {}, n: 0, count: 0, sum: 0, lost: false, per: {}, line: null};
	$in[0] as $l | .line = null
	| if $in == [] then .line = {end: true}
	elif $l == [$id, true] then .archives = null
	elif $l == [$id, false] then .lost = true
	elif .archives == null then .archives = [$l.archives | list[] | digest]
	else (raw($l.path; $l.raw)) as $path | ($path | path) as $key | $key[0] as $source
		| if $key > .key then .key = $key else broken("the files are not in order at " + ($path | people)) end
		| if $sources[$source] then . else broken("a path below no source: " + ($path | people)) end
		| until((.dirs | length) == 0 or (.dirs[-1] as $d | $key | below($d)); .dirs |= .[:-1])
		| if $sources[$source] != "directory" then
			if ($key | length) == 2 and $l.type == "file" and .per[$source] == null then . else broken("not the one file of its source: " + ($path | people)) end
		elif ($key | length) == 1 then if $l.type == "directory" then . else broken("a source that is not a directory: " + ($path | people)) end
		elif .dirs[-1] == $key[:-1] then .
		elif .lost and (.leaf == null or (.leaf as $leaf | $key | below($leaf) | not)) then .
		else broken("a path that lies in no directory of the snapshot: " + ($path | people)) end
		| if $l.type == "directory" then .dirs += [$key] | .leaf = null else .leaf = $key end
		| .n += 1 | .per[$source] += 1 | .count += 1
		| if $l.type == "file" then .sum += ($l.size | int(9007199254740991)) else . end
		| if $l.type == "file" and ($l.links // 0) != 0 then .linkable[$path] = true else . end
		| .line = {path: $path, show: (if $l.raw == null then $l.path | people else $path | shell[1:] end), source: $source, key: $key}
	end;
	$in[0] as $l
	| if .line == null then empty
	elif .line.end then
		if .lost then "T" else
			if .count == ($head[0].files.count // 0) and .sum == ($head[0].files.bytes // 0)
				and .per == ([$head[0].sources | list[] | select(.files // 0 > 0) | {key: .name, value: .files}] | from_entries)
				and all($head[0].sources | list[]; .type == "directory" or .files == 1)
			then empty else broken("the files do not add up") end
		end
	else .line as $i | .archives as $archives | .n as $n | .linkable as $linkable | .lost as $lost | try (
		"\($n) \($l.mode | mode) \($l.uid | owner) \($l.gid | owner) \($l.mtime | mtime)" as $meta
		| if $l.type == "directory" then "D \($meta) \($i.path | shell) \($i.show)"
		elif $l.type == "file" then
			"F \($meta) \($l.size | int(9007199254740991)) \($l.sha256 | digest) \($i.path | shell) \($i.show)",
			(if ($l.xattrs | list | length) > 0 then "A" else empty end),
			(if $l.sqlite then "S \($i.show)" + (if $l.sqlite.integrity == "ok" then "" else " (\($l.sqlite.integrity | people) when it was captured)" end) else empty end),
			(if $l.maps then $l.maps | list
				| if length == (($l.size + 16777215) / 16777216 | floor) and $l.extents == null then . else broken("the number of maps is wrong") end
				| to_entries[] | .key as $k | .value | (.[0] | int(($archives | length) - 1)) as $a
				| "M \($archives[$a] | digest) \(.[1] | int(4294967296)) \(.[2] | int(16777216)) \(.[3] | digest) \($n) \($k * 16777216) \([16777216, $l.size - $k * 16777216] | min) \($i.show)"
			else $l.extents | list | extents($archives; $n; 0; $l.size) end)
		elif $l.type != "symlink" and $l.type != "hardlink" then broken("a type that is not known")
		else raw($l.link; $l.raw_link) as $link
			| if ($link | length) > 0 and ($link | length) <= 32768 and ($link | explode | index(0)) == null then . else broken("a target that is empty, too long or has a zero byte") end
			| if $l.type == "symlink" then "L \($meta) \($i.path | shell) \($link | shell) \($i.show)"
			else ($link | path) as $target
				| if $target[0] == $i.source and $target < $i.key and ($linkable[$link] or $lost) then "H \($n) \($i.path | shell) \($link | shell) \($i.show)"
				else broken("a hard link to what is not an earlier file of its source") end
			end
		end) catch error(. + ": " + $i.show)
	end);
try run catch ("E " + people)
'

# Maps, each behind [ID, number, place, span].
MAPS="$COMMON$EXTENTS"'
def run: foreach inputs as $l ({at: null, archives: null, extents: null};
	.extents = null
	| if ($l | type) == "array" and $l[0] == $id then .at = $l | .archives = null
	elif .archives == null then .archives = [$l.archives | list[] | digest]
	else .extents = ($l.extents | list) end;
	if .extents == null then empty else .archives as $archives | .at as $at | .extents | extents($archives; $at[1]; $at[2]; $at[3]) end);
try run catch ("E " + people)
'

query() { # PROGRAM INPUT OUTPUT [ARGUMENT...]: runs jq, and stops when the store breaks a rule
	program=$1 input=$2 output=$3
	shift 3
	jq -r --arg id "$id" "$@" "$program" <"$input" >"$output" 2>"$T/jq" || stop 4 "the store breaks the rules of its format: $(head -c 300 "$T/jq" | tr -cd ' -~')"
	if grep -q '^E ' "$output"; then
		stop 4 "the store breaks the rules of its format, nothing was recovered: $(sed -n 's/^E broken: //p; s/^E //p' "$output" | head -n 1)"
	fi
}

lines() { sed -n "s/^$1 //p" "$2"; } # LETTER FILE

# The snapshots.

manifest() { # KEY ID: the head becomes $T/head, what is said of it $T/info
	if ! get "$1" "$MAX_HEAD_STORED"; then
		return 1
	fi
	[ "$(size "$object")" -le "$MAX_HEAD_STORED" ] || stop 4 "$1 is too large"
	[ "$(sha256 "$object")" = "${2#*-}" ] || stop 4 "$1: its SHA-256 is not the one in its name"
	zstd -dcq <"$object" 2>/dev/null | head -c $((MAX_HEAD + 1)) >"$T/head"
	[ "$(size "$T/head")" -le "$MAX_HEAD" ] || stop 4 "$1 is too large"
	query "$HEAD" "$T/head" "$T/info" --arg stamp "${2%%-*}"
}

ids() { # DIRECTORY: the IDs of the manifests in it
	[ -d "$STORE/$1" ] || return 0
	ls "$STORE/$1" | grep -Ex '[0-9]{8}T[0-9]{6}Z-[0-9a-f]{64}\.json\.zst' | sed 's/\.json\.zst$//'
}

list() {
	echo "STAMP                          STATE       KIND          FILES            BYTES"
	for kind in manifests removed; do
		for id in $(ids $kind); do
			short=$(printf %.29s "$id")
			object=$STORE/$kind/$id.json.zst
			if [ "$(sha256 "$object")" != "${id#*-}" ]; then
				echo "$short  DAMAGED: its SHA-256 is not the one in its name"
				continue
			fi
			note=
			[ $kind = manifests ] || note="  (removed; its archives may be gone)"
			printf '%s  %-10s  %-8s  %9d  %15d%s\n' "$short" $(zstd -dcq <"$object" | head -c "$MAX_HEAD" | jq -r '
				def word: if type == "string" and (explode | all(.[]; . >= 97 and . <= 122)) then .[0:10] else "?" end;
				def int: if type == "number" then floor else 0 end;
				"\(.state | word) \(.kind | word) \(.files.count | int) \(.files.bytes | int)"') "$note"
		done
	done | sort
	printf '\nsh recover.sh STAMP DIR rebuilds one into DIR.\n'
}

resolve() { # STAMP: sets $id
	if [ -n "$FETCH" ]; then
		printf '%s\n' "$1" | grep -Eqx '[0-9]{8}T[0-9]{6}Z-[0-9a-f]{64}' ||
			stop 64 "with LIFEBOAT_FETCH a full ID is needed: the name of a manifest without .json.zst"
		id=$1
		return
	fi
	for kind in manifests removed; do
		id=$(ids $kind | grep "^$1")
		[ -n "$id" ] && break
	done
	[ -n "$id" ] || stop 13 "no snapshot begins with $1"
	[ "$(printf '%s\n' "$id" | wc -l)" -eq 1 ] || stop 13 "$1 fits several snapshots:
$id"
}

# Tables.

table() { # NAME: all pieces of a table, each after its number, or null where one is lost, become $T/NAME.json
	: >"$T/$1.json"
	grep "^P $1 " "$T/info" >"$T/pieces"
	for sha in $(cut -d' ' -f4 "$T/pieces" | sort -u); do
		grep "^P $1 [0-9]* $sha " "$T/pieces" >"$T/pieces.here"
		read -r _ _ _ _ bytes length _ <"$T/pieces.here"
		unpack "$sha" "$bytes" "$length"
		while read -r _ _ n _ _ _ off len expect first; do
			cut_out "$off" "$len" "$T/$1.$n"
			if [ "$(sha256 "$T/$1.$n")" != "$expect" ]; then
				damaged "piece $((n + 1)) of the $1 table, which begins with $first" "is not to be had from archives/$sha.tar.zst"
				rm -f "$T/$1.$n"
			fi
		done <"$T/pieces.here"
	done
	while read -r _ _ n _; do
		if [ -f "$T/$1.$n" ]; then
			echo "[\"$id\",true]"
			cat "$T/$1.$n"
			rm -f "$T/$1.$n"
		else
			echo "[\"$id\",false]"
		fi
	done <"$T/pieces" >"$T/$1.json"
}

# known SHA256: sets $bytes and $length from the archives table, or to the limits when its line is lost
known() {
	bytes=$MAX_ARCHIVE length=$MAX_ARCHIVE
	line=$(grep "^$1 " "$T/archives") || return 0
	line=${line#* }
	bytes=${line% *} length=${line#* }
}

maps() { # extents of the files that have maps, from $T/plan into $T/extents
	lines M "$T/plan" | sort -k1,1 -s >"$T/maps"
	: >"$T/maps.json"
	for sha in $(cut -d' ' -f1 "$T/maps" | uniq); do
		known "$sha"
		unpack "$sha" "$bytes" "$length"
		grep "^$sha " "$T/maps" >"$T/maps.here"
		while read -r _ off len expect n place span show; do
			cut_out "$off" "$len" "$T/map"
			if [ "$(sha256 "$T/map")" = "$expect" ]; then
				echo "[\"$id\",$n,$place,$span]" >>"$T/maps.json"
				cat "$T/map" >>"$T/maps.json"
			else
				damaged "archives/$sha.tar.zst" "a map of $show is not to be had from it"
			fi
		done <"$T/maps.here"
	done
	query "$MAPS" "$T/maps.json" "$T/mapped" -n
	cat "$T/mapped" >>"$T/plan"
}

plan() { # reads both tables; everything to be done is then in $T/plan, and nothing has been written yet
	table archives
	query "$ARCHIVES" "$T/archives.json" "$T/archives" -n --slurpfile head "$T/head"
	table files
	query "$FILES" "$T/files.json" "$T/plan" -n --slurpfile head "$T/head"
	maps
	lines X "$T/plan" | sort -k1,1 -s >"$T/extents"
	lines M "$T/plan" | cut -d' ' -f1 >"$T/used"
	cut -d' ' -f1 "$T/extents" >>"$T/used"
	unlisted=$(sort -u "$T/used" | join -v1 - "$T/archives" | head -n 1)
	if [ -n "$unlisted" ] && ! grep -Fxq "[\"$id\",false]" "$T/archives.json"; then
		stop 4 "the store breaks the rules of its format, nothing was recovered: archive $unlisted is not listed"
	fi
	outside=$(sort -k1,1 "$T/extents" | join - "$T/archives" | while read -r sha off len n place bytes length; do
		[ $((off + len)) -le "$length" ] || echo "$sha"
	done | head -n 1)
	[ -z "$outside" ] || stop 4 "the store breaks the rules of its format, nothing was recovered: an extent lies outside archive $outside"
}

# Files, under their numbers first.

contents() { # makes all files in $T/file, archive by archive
	mkdir "$T/file"
	lines F "$T/plan" >"$T/files"
	while read -r n _ _ _ _ bytes expect _; do
		if [ "$bytes" = 0 ]; then
			: >"$T/file/$n"
		else
			dd if=/dev/null of="$T/file/$n" bs=1 count=0 seek="$bytes" 2>/dev/null || stop 1 "cannot write to $DIR"
		fi
		echo "$expect  $n"
	done <"$T/files" >"$T/sums"
	for sha in $(cut -d' ' -f1 "$T/extents" | uniq); do
		known "$sha"
		unpack "$sha" "$bytes" "$length"
		grep "^$sha " "$T/extents" >"$T/extents.here"
		while read -r _ off len n place; do
			dd if="$T/tar" of="$T/file/$n" bs=1048576 iflag=skip_bytes,count_bytes oflag=seek_bytes conv=notrunc \
				skip="$off" count="$len" seek="$place" 2>"$T/dd" || stop 1 "cannot write to $DIR: $(tail -n 1 "$T/dd")"
		done <"$T/extents.here"
	done
	rm -f "$T/tar" "$T/object"
	if [ -s "$T/sums" ]; then
		(cd "$T/file" && sha256sum -c ../sums) 2>/dev/null | sed -n 's/: OK$//p' >"$T/right"
	else
		: >"$T/right"
	fi
}

# Names and attributes. Everything is named from DIR, as ./source/path, so that no name can look like an option.

name() { # =ENCODED: sets $name
	name=./${1#=}
	case $name in
	*\\*)
		name=$(printf '%b_' "$name")
		name=${name%_}
		;;
	esac
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }

parent() { # makes the directory of a single file, or one whose line is lost
	[ -d "${1%/*}" ] || (umask 022 && mkdir -p -- "${1%/*}")
}

attributes() { # SHOW FILE MODE UID GID MTIME
	if [ "$ROOT" = 1 ] && [ "$4$5" != -- ]; then
		owner=${4#-}
		[ "$5" = - ] || owner=$owner:$5
		chown -h "$owner" "$2" 2>/dev/null || failed "$1" "its owner cannot be set"
	fi
	if [ "$3" != - ] && ! [ -L "$2" ]; then
		case $3 in
		[2-7]*)
			mode=$3
			if [ "$PRIVILEGED" != 1 ]; then
				case $3 in
				[357]*) mode=1${3#?} ;;
				*) mode=0${3#?} ;;
				esac
				printf 'note: setuid and setgid left out (LIFEBOAT_PRIVILEGED=1 keeps them): %s\n' "$1" >&2
			fi
			;;
		*) mode=$3 ;;
		esac
		chmod "$mode" "$2" 2>/dev/null || failed "$1" "its mode cannot be set"
	fi
	if [ "$6" != - ]; then
		touch -c -h -d "@$6" "$2" 2>/dev/null || failed "$1" "its time cannot be set"
	fi
}

place() { # gives every right file its name and attributes
	lines D "$T/plan" >"$T/dirs"
	while read -r _ _ _ _ _ path show; do
		name "$path"
		parent "$name"
		if mkdir "$name" 2>/dev/null; then
			echo x >>"$T/made"
		else
			failed "$show" "the directory cannot be made"
		fi
	done <"$T/dirs"
	sort "$T/right" >"$T/right.sorted"
	sort -k1,1 "$T/files" >"$T/files.sorted"
	join -t ' ' -v1 "$T/files.sorted" "$T/right.sorted" >"$T/files.wrong"
	while read -r _ _ _ _ _ _ _ _ show; do
		lost "$show" "its content does not have its SHA-256"
	done <"$T/files.wrong"
	join -t ' ' "$T/files.sorted" "$T/right.sorted" >"$T/files.right"
	while read -r n mode uid gid mtime _ _ path show; do
		name "$path"
		parent "$name"
		attributes "$show" "$T/file/$n" "$mode" "$uid" "$gid" "$mtime"
		if exists "$name"; then
			failed "$show" "another name of the snapshot is the same to this file system"
		elif mv "$T/file/$n" "$name" 2>/dev/null; then
			printf '%s\n' "$path" >>"$T/placed"
		else
			failed "$show" "cannot be written"
		fi
	done <"$T/files.right"
	lines H "$T/plan" >"$T/hardlinks"
	while read -r _ path link show; do
		if ! grep -Fxq -e "$link" "$T/placed"; then
			lost "$show" "the file it is a hard link to is not there"
			continue
		fi
		name "$link"
		target=$name
		name "$path"
		parent "$name"
		if ! exists "$name" && ln "$target" "$name" 2>/dev/null; then
			echo x >>"$T/linked"
		else
			failed "$show" "the hard link cannot be made"
		fi
	done <"$T/hardlinks"
	lines L "$T/plan" >"$T/symlinks"
	while read -r _ _ uid gid mtime path link show; do
		name "./$link"
		target=${name#././=}
		name "$path"
		parent "$name"
		if ! exists "$name" && ln -s -- "$target" "$name" 2>/dev/null; then
			echo x >>"$T/linked"
			attributes "$show" "$name" - "$uid" "$gid" "$mtime"
		else
			failed "$show" "the symlink cannot be made"
		fi
	done <"$T/symlinks"
	sort -rn "$T/dirs" >"$T/dirs.backwards"
	while read -r _ mode uid gid mtime path show; do
		name "$path"
		[ ! -d "$name" ] || attributes "$show" "$name" "$mode" "$uid" "$gid" "$mtime"
	done <"$T/dirs.backwards"
}

summary() {
	printf '%s: %d of %d files, %d directories, %d links are in %s\n' "${id%%-*}" "$(count "$T/placed")" \
		"$(count "$T/files")" "$(count "$T/made")" "$(count "$T/linked")" "$DIR"
	lines S "$T/plan" | sed 's/^/database: /'
	if grep -q '^A$' "$T/plan"; then
		echo "note: extended attributes of $(grep -c '^A$' "$T/plan") files are not restored; recover.py does that" >&2
	fi
	[ "$ROOT" = 1 ] || echo "note: owners are restored only for root" >&2
	code=0
	if grep -q '^I' "$T/info"; then
		code=3
		echo "the snapshot is incomplete, since it was taken:" >&2
		lines I "$T/info" >&2
	fi
	if [ "$(count "$T/placed")" != "$(count "$T/files")" ] && ! [ -s "$T/lost" ] && ! [ -s "$T/failed" ]; then
		code=1
		echo "not all files were written, and it is not known why" >&2
	fi
	if [ -s "$T/failed" ]; then
		code=1
		echo "$(count "$T/failed") things could not be written (see above)" >&2
	fi
	if [ -s "$T/damaged" ] || [ -s "$T/lost" ]; then
		code=4
		printf '%d objects are damaged, %d files are lost (see above); what is in %s is right\n' \
			"$(count "$T/damaged")" "$(count "$T/lost")" "$DIR" >&2
	fi
	return $code
}

# The command line.

[ $# = 0 ] || [ $# = 2 ] || usage
for program in jq zstd sha256sum dd head sort join touch; do
	command -v $program >/dev/null || stop 1 "needs the program $program (or use recover.py, which needs Python and zstd)"
done
FETCH=${LIFEBOAT_FETCH:-}
PRIVILEGED=${LIFEBOAT_PRIVILEGED:-}
ROOT=0
[ "$(id -u)" != 0 ] || ROOT=1
STORE=
if [ -z "$FETCH" ]; then
	for d in . "$(dirname -- "$0")"; do
		[ -d "$d/manifests" ] && STORE=$(cd -- "$d" && pwd) && break
	done
	[ -n "$STORE" ] || stop 10 "there is no store here: no directory manifests (see RECOVER.md)"
fi
if [ $# = 0 ]; then
	[ -z "$FETCH" ] || stop 64 "LIFEBOAT_FETCH cannot list: look at the keys below manifests/, and give a full ID"
	list
	exit
fi
case $1 in
'' | *[!0-9TZa-f-]*) stop 64 "not a stamp" ;;
esac
resolve "$1"

DIR=$2
made=
case $DIR in
/*) ;;
*) DIR=$PWD/$DIR ;;
esac
if exists "$DIR"; then
	[ -d "$DIR" ] || stop 8 "$DIR is not a directory"
	[ -z "$(ls -A "$DIR")" ] || stop 8 "$DIR is not empty"
else
	mkdir -p "$DIR" || stop 1 "cannot make $DIR"
	made=1
fi
cd "$DIR" || stop 1 "cannot go to $DIR"
T=$DIR/.lifeboat-recover
umask 077
mkdir "$T" || stop 1 "cannot write to $DIR"
cleanup() {
	rm -rf "$T"
	[ -z "$made" ] || rmdir "$DIR" 2>/dev/null
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for file in damaged lost failed made placed linked; do
	: >"$T/$file"
done
echo ab >"$T/tar"
cut_out 1 1 "$T/probe"
if ! { [ "$(cat "$T/probe")" = b ] && dd if=/dev/null of="$T/probe" bs=1 oflag=seek_bytes seek=3 count=0 &&
	touch -c -h -d @1.500000000 "$T/probe" && join "$T/probe" "$T/tar" && (sha256sum "$T/tar" | sha256sum -c); } >/dev/null 2>&1; then
	stop 1 "dd, touch, join and sha256sum of GNU coreutils are needed, these here cannot do enough (or use recover.py)"
fi

manifest "manifests/$id.json.zst" "$id" || manifest "removed/$id.json.zst" "$id" || stop 13 "manifests/$id.json.zst cannot be read"
plan
contents
place
sync
summary
