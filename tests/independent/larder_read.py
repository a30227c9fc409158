#!/usr/bin/env python3
"""Gives files back from a Larder disk, without agent, client or index.

It follows the words of FORMAT.md in another language and shares no code with us, so a mistake in either shows. Every byte
that it gives back was hashed and compared; what it cannot give back it names. It never writes to the disk.

    larder_read.py DISK --list | --to FOLDER [--source DEVICE/NAME] [--snapshot NUMBER]

DISK is the folder that contains `larder/`, or that folder itself. Without --source and --snapshot the newest snapshot
of every source goes into FOLDER/DEVICE/NAME. What only a newer reader knows is told and is no damage.
Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 done but some files were skipped, 6 damaged data met.
"""
# Needs Python 3.11 on Linux, and: pip install blake3 zstandard
import argparse, collections, contextlib, functools, grp, io, os, pwd, re, stat, struct, sys, time, unicodedata
from pathlib import Path
import blake3, zstandard

CHUNK_MAX, NODE_MAX, ENTRY_MAX, DEPTH_MAX, LEVELS_MAX = 4 << 20, 2 << 20, 1 << 20, 2048, 8  # FORMAT.md, "Limits"
Entry = collections.namedtuple("Entry", "name owner mode modified_ns hard_link xattrs kind fields")
Snapshot = collections.namedtuple("Snapshot", "number time_ms trusted source root files bytes skipped")
SPECIAL = {3: stat.S_IFIFO, 4: stat.S_IFSOCK, 5: stat.S_IFCHR, 6: stat.S_IFBLK}
DEVICE = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,64}")
HIDDEN = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
told = collections.Counter()

class Damaged(Exception): """The bytes are not what the format says."""
BROKEN = Damaged, OSError, OverflowError, ValueError, struct.error, zstandard.ZstdError

def need(condition, why):
    if not condition:
        raise Damaged(why)

def is_source(text):  # DEVICE/NAME. The name becomes a folder's, and is printed.
    device, slash, name = text.partition("/")
    is_folder = 0 < len(name.encode()) <= 255 and "/" not in name and name not in (".", "..") and name == name.strip()
    return bool(slash and DEVICE.fullmatch(device)) and is_folder and not HIDDEN.search(name) and unicodedata.is_normalized("NFC", name)

def digest(data): return blake3.blake3(data).digest()

def show(path):  # A name as text that cannot drive somebody's terminal.
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path.decode("utf-8", "backslashreplace"))

def tell(kind, what):  # Tells the owner while it happens, and counts: that decides the exit code.
    told[kind] += 1
    print(f"{kind}: {what}", file=sys.stderr)

def files_in(folder, ending):  # At any depth, also in wrong ones. What cannot be listed is told and costs only itself.
    lost = lambda why: tell("damaged", f"{why.filename}: {why.strerror}; what is in this folder is not used")
    return sorted(Path(at, n) for at, _, names in os.walk(folder, onerror=lost) for n in names if n.endswith(ending))

def content(file):  # All bytes of a file, with zeros for what the disk does not give.
    data = bytearray(os.fstat(file.fileno()).st_size)
    for at in range(0, len(data), 65536):
        with contextlib.suppress(OSError):
            data[at:at + 65536] = os.pread(file.fileno(), 65536, at)
    return data

class Values:
    """Reads postcard values, one after another."""
    def __init__(self, data):
        self.data, self.at = data, 0
    def raw(self, count):
        need(count <= len(self.data) - self.at, "a value ends too early")
        self.at += count
        return self.data[self.at - count:self.at]
    def number(self, bits=64, below=None):
        value = 0
        for shift in range(0, bits, 7):
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        need(byte < 0x80 and value < (1 << bits if below is None else below), "a number or kind is out of range")
        return value
    def signed(self): return ((value := self.number()) >> 1) ^ -(value & 1)
    def bytes(self): return self.raw(self.number())
    def list(self, item): return [item() for _ in range(self.number())]
    def reference(self): return self.raw(32), self.number(32)
    def totals(self): return self.number(), self.number(), self.number()
    def owner(self): return self.number(32), self.number(32), self.bytes().decode(), self.bytes().decode()
    def last(self, value): return need(self.at == len(self.data), "bytes are left over") or value
    def piece(self):
        kind = self.number(32, below=3)
        reference = None if kind == 1 else self.reference()
        covers = reference[1] if kind == 0 else self.number()
        need(covers > 0, "a piece is empty")
        return kind, reference, covers
    def entry(self, owners):
        name, owner, mode = self.bytes(), self.number(32, below=len(owners)), self.number(16, below=0o10000)
        modified_ns = self.signed() * 10**9 + self.number(32, below=10**9)
        hard_link, xattrs = self.number(), self.list(lambda: (self.bytes(), self.bytes()))
        need(len(name) <= 1024 and not {0, 47} & {*name} and name not in (b".", b".."), "a name is not allowed")
        kind, device, nothing = self.number(32, below=7), lambda: (self.number(32), self.number(32)), lambda: None
        fields = (lambda: (self.number(), self.list(self.piece)), lambda: (self.reference(), self.totals()), self.bytes,
                  nothing, nothing, device, device)[kind]()
        need(kind != 0 or fields[0] == sum(piece[2] for piece in fields[1]), "a file's pieces do not make its size")
        return Entry(name, owners[owner], mode, modified_ns, hard_link, xattrs, kind, fields)

class Packs:
    """Where every chunk lies, by the packs' own tables, and its bytes."""
    def __init__(self, folder):
        self.places, self.checked = collections.defaultdict(list), set()
        self.open = functools.lru_cache(8)(self.open)
        for path in files_in(folder / "packs", ".pack"):
            if self.newer(path):
                tell("newer", f"{path}: it is whole, and only a newer reader can open it")
                continue
            for find in self.table, self.search:
                try:
                    with open(path, "rb") as file:
                        for name, at in find(file):
                            self.places[name].append((path, at))
                    break
                except BROKEN as why:
                    tell("damaged", f"{path}: {why}; if possible, what is whole in it is used")
    def newer(self, path):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            head = file.read(16)
            return head[:8] == b"LRDRPAK1" and head[10:12] > b"\1\0" and digest(content(file)).hex() == path.stem
    def table(self, file):
        head, size, give = file.read(16), file.seek(0, 2), functools.partial(os.pread, file.fileno())
        need(head[:8] == b"LRDRPAK1" and size >= 80 and head[10:12] == b"\1\0", "it is no pack, or too new")
        magic, blocks, chunks, start, check = struct.unpack_from("<8sIIQ32s", tail := give(64, size - 64))
        need(magic == b"LRDREND1" and digest(tail[:56])[:8] == tail[56:], "its footer is damaged")
        need(blocks <= chunks <= 65535 and start + 12 * blocks + 32 * chunks + 64 == size, "its table does not fit")
        need(digest(table := give(size - 64 - start, start)) == check, "its table is damaged")
        places = [*struct.iter_unpack("<III", table[:12 * blocks])]
        for (at, _, slot), end in zip(places, [slot for _, _, slot in places[1:]] + [chunks]):
            yield from ((table[12 * blocks + 32 * n:][:32], at) for n in range(slot, min(end, chunks)))
    def search(self, file):
        for match in re.finditer(b"LRDRBLK1", content(file)):
            with contextlib.suppress(*BROKEN):  # Magic bytes in somebody's file, or a block that is gone.
                yield from ((name, match.start()) for name in self.block(file, match.start()))
    def block(self, file, at):
        """The chunks of one block under their names, which are computed here."""
        file.seek(at)
        magic, layout, codec, _, count, stored, length, check = struct.unpack("<8sBBHIII32s", head := file.read(56))
        need(magic == b"LRDRBLK1" and 1 <= count <= 8192, "a block does not begin like one")
        head += file.read(3 * count + 16)
        need(digest(head[:-16])[:16] == head[-16:] and layout == 1 and codec <= 1, "a block is damaged, or too new")
        lengths = [low + (high << 16) for low, high in struct.iter_unpack("<HB", head[56:-16])]
        need(stored <= length == sum(lengths) <= CHUNK_MAX, "a block's lengths contradict each other")
        need(digest(plain := file.read(stored)) == check, "a block is damaged")
        if codec == 1:
            need(zstandard.frame_content_size(plain) == length, "a block claims another length")
            plain = zstandard.ZstdDecompressor().decompress(plain, allow_extra_data=False)
        need(len(plain) == length, "a block has another length")
        return {digest(chunk): chunk for chunk in map(io.BytesIO(plain).read, lengths)}
    def open(self, path, at):
        with open(path, "rb") as file:
            if path not in self.checked and (self.checked.add(path) or digest(content(file)).hex() != path.stem):
                tell("damaged", f"{path}: its bytes do not have its name; what is whole in it is used")
            return self.block(file, at)
    def chunk(self, reference):
        why = "a piece of it is nowhere on this disk"
        for path, at in self.places.get(reference[0], []):
            try:
                chunk = self.open(path, at).get(reference[0])
                need(chunk is not None and len(chunk) == reference[1], "a block does not hold what was said")
                return chunk
            except BROKEN as error:
                why = f"{error} ({path})"
        raise Damaged(why)
    def node(self, reference, level):
        need(reference[1] <= NODE_MAX and level <= LEVELS_MAX, "a node or list is too large or too deep")
        return Values(self.chunk(reference))
    def entries(self, reference, level=0):
        """Entries of one folder in order, over all its leaves."""
        values = self.node(reference, level)
        if values.number(32, below=2) == 1:
            for _, child in values.last(values.list(lambda: (values.bytes(), values.reference()))):
                yield from self.entries(child, level + 1)
            return
        owners = values.list(values.owner)
        found = values.last(values.list(lambda: values.entry(owners)))
        need(all(a.name < b.name for a, b in zip(found, found[1:])), "a folder's names are out of order")
        yield from found
    def runs(self, pieces, level=0):
        """The chunks and holes of one file in order, over all its lists."""
        for kind, reference, covers in pieces:
            if kind == 2:
                values = self.node(reference, level)
                below = values.last(values.list(values.piece))
                need(sum(piece[2] for piece in below) == covers, "a list of pieces covers another length")
                yield from self.runs(below, level + 1)
            else:
                yield self.chunk(reference) if kind == 0 else None, covers

def entry_in(data, number, exactly=True):
    """The entry at the start of `data`: how many bytes it has, the oldest layout that reads it, its hash, its values."""
    magic, writer, oldest, length = struct.unpack_from("<8sHHI", data)
    size = length + 48
    need(magic == b"LRDRLED1" and size <= ENTRY_MAX and (size == len(data) if exactly else size <= len(data)), "it is no ledger entry")
    need(digest(data[:size - 32]) == data[size - 32:size], "it is damaged")
    values = Values(data[16:size - 32])
    need(values.number() == number, "it has another number than its name")
    return size, writer, oldest, data[size - 32:size], values

def chapters(folder):
    """Bytes of the entries in all chapters that are whole, by number."""
    found = {}
    for path in files_in(folder / "ledger", ".chapter"):
        try:
            data, number = path.read_bytes(), max(1, int(path.stem) * 1000)
            magic, _, oldest, count = struct.unpack_from("<8sHHI", data)
            need(magic == b"LRDRCHP1" and oldest == 1 and digest(data[:-32]) == data[-32:], "it is no chapter, damaged, or too new")
            rest = data[16:-32]
            for number in range(number, number + count):
                size = entry_in(rest, number, exactly=False)[0]
                found[number], rest = rest[:size], rest[size:]
        except BROKEN as why:
            tell("damaged", f"{path}: {why}; its entries are taken from their own files")
    return found

def read_ledger(folder):
    head, expected, found, spare = bytes(32), 1, {}, chapters(folder)
    files = {int(p.stem): p for p in files_in(folder / "ledger", ".entry") if p.stem.isdecimal()}
    for number in sorted(files.keys() | spare.keys()):
        if number > expected:
            head = tell("damaged", f"ledger entries {expected} to {number - 1} are missing")
        previous, head, expected = head, None, number + 1  # None: what was before is not known, so anything may follow.
        for path in [files[number]] * (number in files) + [None] * (number in spare):
            try:
                _, writer, oldest, own, values = entry_in(path.read_bytes() if path else spare[number], number)
                head = own
                need(values.raw(32) == previous or previous is None, "it does not follow the entry before it")
                take_entry(found, number, writer, oldest, values)
                break
            except BROKEN as why:
                tell("damaged", f"{path or f'entry {number} in a chapter'}: {why}")
    return list(found.values())

def take_entry(found, number, writer, oldest, values):
    time_ms, trusted, _ = values.signed(), values.raw(1) == b"\1", values.number()
    kind = values.number(32) if oldest <= 2 else None
    if oldest == 2:
        values.raw(1)  # What a reader without the kind may do; this one only reads anyway.
    last = values.last if writer <= 2 else lambda value: value  # A newer writer may say more behind what is known here.
    if kind is None or kind > 22:
        tell("newer", f"ledger entry {number}: it is whole, and only a newer reader knows what it says")
    elif kind == 8:
        for gone in values.list(values.number):  # Snapshots that were let go of.
            found.pop(gone, None)
    elif kind in (1, 12):
        source, _, root = values.bytes().decode(), values.raw(16), values.reference()
        files, _, size, skipped, _ = *(values.number() for _ in range(4)), values.signed()
        if kind == 12:  # Parent, origin, zone, hashes of whole files: labels.
            optional = lambda item: item() if values.raw(1) == b"\1" else None
            optional(values.number), optional(lambda: (values.bytes(), values.bytes())), optional(values.bytes)
            values.list(lambda: (values.bytes(), values.raw(32)))
        last(None)
        need(is_source(source), "its source has no proper name")
        found[number] = Snapshot(number, time_ms, trusted, source, root, files, size, skipped)

class Restore:
    """Makes a snapshot's folder anew. Works inside one folder at a time, so paths of any length do."""
    def __init__(self, packs, snapshot, top):
        self.packs, self.top, self.links = packs, os.fsencode(top), {}
        os.makedirs(top, exist_ok=True)
        os.chdir(top)
        try:
            [root] = packs.entries(snapshot.root)
            need(root.name == b"" and root.kind == 1, "its root is not one folder without a name")
            self.folder(root.fields[0], b"", 0)
            self.attributes(root._replace(name=b"."), b".")
        except BROKEN as why:
            tell("damaged", f"snapshot {snapshot.number}: {why}")
    def folder(self, reference, path, depth):
        try:
            for entry in self.packs.entries(reference):
                inside = path + b"/" + entry.name
                try:
                    need(entry.name and depth <= DEPTH_MAX, "it has no name, or is nested too deeply")
                    self.one(entry, inside, depth)
                except BROKEN as why:
                    tell("damaged" if isinstance(why, Damaged) else "skipped", f"{show(inside)}: {why}")
        except BROKEN as why:
            tell("damaged", f"{show(path)}/: names in this folder are lost: {why}")
    def one(self, entry, path, depth):
        bare = entry._replace(name=b"")
        twin, where = self.links.get(entry.hard_link, (None, None))
        if entry.hard_link and twin == bare:
            return os.link(where, entry.name, follow_symlinks=False)
        if entry.kind == 0:
            self.file(entry)
        elif entry.kind == 1:
            os.mkdir(entry.name, 0o700)
            os.chdir(entry.name)
            self.folder(entry.fields[0], path, depth + 1)
            os.chdir("..")
        elif entry.kind == 2:
            os.symlink(entry.fields, entry.name)
        else:
            os.mknod(entry.name, SPECIAL[entry.kind] | 0o600, os.makedev(*entry.fields) if entry.fields else 0)
        self.links.setdefault(entry.hard_link, (bare, self.top + path))
        self.attributes(entry, path)
    def file(self, entry):
        with open(os.open(entry.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            try:
                for chunk, covers in self.packs.runs(entry.fields[1]):
                    file.seek(covers, os.SEEK_CUR) if chunk is None else file.write(chunk)
                file.truncate(entry.fields[0])
            except BaseException:
                os.unlink(entry.name)  # Half a file must not look like a whole one.
                raise
    def attributes(self, entry, path):
        uid, gid, user, group = entry.owner
        owned = os.geteuid() in (0, uid)
        if os.geteuid() == 0:
            uid = next((known.pw_uid for known in pwd.getpwall() if known.pw_name == user), uid)
            gid = next((known.gr_gid for known in grp.getgrall() if known.gr_name == group), gid)
            os.chown(entry.name, uid, gid, follow_symlinks=False)
        for name, value in entry.xattrs:
            try:
                os.setxattr(entry.name, name, value, follow_symlinks=False)
            except OSError as why:
                tell("skipped", f"{show(path)}: only its attribute {show(name)}: {why.strerror}")
        if entry.kind != 2:  # Set-user bits would give away the rights of whoever restores.
            os.chmod(entry.name, entry.mode & (0o7777 if owned else 0o1777))
        os.utime(entry.name, ns=(entry.modified_ns, entry.modified_ns), follow_symlinks=False)

def main():
    parser = argparse.ArgumentParser(description="Gives files back from a Larder disk.")
    parser.add_argument("disk", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true")
    what.add_argument("--to", type=Path)
    parser.add_argument("--source")
    parser.add_argument("--snapshot", type=int)
    args = parser.parse_args()
    sys.setrecursionlimit(10 * DEPTH_MAX)
    folder = (args.disk / "larder" if (args.disk / "larder").is_dir() else args.disk).absolute()
    found = [s for s in read_ledger(folder) if args.source in (None, s.source) and args.snapshot in (None, s.number)]
    if not found or args.to and args.to.exists() and any(args.to.iterdir()):
        sys.exit(f"{args.to} is not empty." if found else f"No such snapshot in {folder}.")
    if args.to:
        found, packs, to = {s.source: s for s in found}.values(), Packs(folder), args.to.absolute()
        for s in found:
            Restore(packs, s, to if args.source or args.snapshot else to / s.source)
    for s in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(s.time_ms // 1000)) + "?" * (not s.trusted)
        print(f"{s.source}  {s.number}  {when}  {s.files} files  {s.bytes} bytes  {s.skipped} left out by the device")
    print(", ".join(f"{count} {kind}" for kind, count in told.items()) or "everything that was read is whole")
    sys.exit(6 if told["damaged"] else 3 if told["skipped"] else 0)

if __name__ == "__main__":
    try:
        main()
    except (OSError, KeyboardInterrupt) as trouble:
        sys.exit(f"It could not go on: {trouble}")
