#!/usr/bin/env python3
"""Gives files back from a Larder disk, without agent, client or index.

Written from the words of FORMAT.md alone, in another language, to prove that a stranger could. Every byte that it
gives back was hashed and compared; what it cannot give back it names. It never writes to the disk.
Needs Python 3.11, and `pip install blake3 zstandard`.

    larder_read.py DISK --list
    larder_read.py DISK --to FOLDER [--source DEVICE/NAME] [--snapshot NUMBER]

DISK is the folder that contains `larder/`, or that folder itself. Without --source and --snapshot the newest
snapshot of every source goes into FOLDER/DEVICE/NAME. Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 done but some
files were skipped, 6 damaged data met.
"""
import argparse, grp, io, os, pwd, re, stat, struct, sys, time
from collections import OrderedDict, namedtuple
from pathlib import Path
from blake3 import blake3
import zstandard

MIB = 1 << 20
CHUNK_MAX, NODE_MAX, ENTRY_MAX, DEPTH_MAX, LEVELS_MAX = 4 * MIB, 2 * MIB, MIB, 2048, 8
Entry = namedtuple("Entry", "name owner mode modified_ns hard_link xattrs kind")
Snapshot = namedtuple("Snapshot", "number time_ms trusted source root files bytes skipped")


class Damaged(Exception):
    """The bytes are not what the format says."""


def need(condition, why):
    if not condition:
        raise Damaged(why)


def digest(data):
    return blake3(data).digest()


# --- Plain values ---------------------------------------------------------------------------------------------------

class Values:
    """Reads postcard values one after another."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, count):
        need(count <= len(self.data) - self.at, "a value ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, bits=64):
        value = 0
        for shift in range(0, bits, 7):
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                need(value < 1 << bits, "a number is too large")
                return value
        raise Damaged("a number is too long")

    def signed(self):
        value = self.number()
        return (value >> 1) ^ -(value & 1)

    def choice(self, kinds):
        kind = self.number(32)
        need(kind < kinds, "a kind is not known")
        return kind

    def bytes(self):
        return self.raw(self.number())

    def text(self):
        return self.bytes().decode("utf-8", "replace")

    def list(self, item):
        return [item() for _ in range(self.number())]

    def end(self):
        need(self.at == len(self.data), "bytes are left over")

    def reference(self):
        return self.raw(32), self.number(32)

    def totals(self):
        return self.number(), self.number(), self.number()

    def piece(self):
        kind = self.choice(3)
        reference = self.reference() if kind != 1 else None
        covers = reference[1] if kind == 0 else self.number()
        need(covers > 0, "a piece is empty")
        return kind, reference, covers

    def owner(self):
        return self.number(32), self.number(32), self.text(), self.text()

    def kind(self):
        kind = self.choice(7)
        fields = [lambda: (self.number(), self.list(self.piece)), lambda: (self.reference(), self.totals()), self.bytes,
                  lambda: None, lambda: None, lambda: (self.number(32), self.number(32)), lambda: (self.number(32), self.number(32))]
        return kind, fields[kind]()

    def entry(self, owners):
        name, owner, mode = self.bytes(), self.number(32), self.number(16)
        seconds, nanos, hard_link = self.signed(), self.number(32), self.number()
        xattrs = self.list(lambda: (self.bytes(), self.bytes()))
        need(len(name) <= 1024 and b"/" not in name and b"\0" not in name and name not in (b".", b".."), "a name is not allowed")
        need(owner < len(owners) and mode <= 0o7777 and nanos < 10**9, "an attribute is out of range")
        return Entry(name, owners[owner], mode, seconds * 10**9 + nanos, hard_link, xattrs, self.kind())


# --- Packs ----------------------------------------------------------------------------------------------------------

class Packs:
    """Where every chunk lies, and its bytes."""

    def __init__(self, folder, damage):
        self.places, self.checked, self.opened, self.damage = {}, set(), OrderedDict(), damage
        for path in sorted(folder.glob("packs/[0-9a-f][0-9a-f]/*.pack")):
            try:
                with open(path, "rb") as file:
                    try:
                        found = self.table(file)
                    except (Damaged, struct.error) as why:
                        damage(f"{path}: {why}; its blocks are searched one by one")
                        found = self.search(file)
                    for id, offset in found:
                        self.places.setdefault(id, []).append((path, offset))
            except (OSError, Damaged) as why:
                damage(f"{path}: {why}")

    @staticmethod
    def table(file):
        head, size = file.read(16), os.fstat(file.fileno()).st_size
        need(head[:8] == b"LRDRPAK1", "it does not begin like a pack")
        need(struct.unpack_from("<H", head, 10)[0] <= 1, "it needs a newer reader")
        file.seek(max(0, size - 64))
        tail = file.read(64)
        magic, blocks, chunks, offset, table_hash = struct.unpack_from("<8sIIQ32s", tail)
        need(magic == b"LRDREND1" and digest(tail[:56])[:8] == tail[56:], "its footer is damaged")
        need(blocks <= chunks <= 65535 and offset + 12 * blocks + 32 * chunks + 64 == size, "its table does not fit")
        file.seek(offset)
        table = file.read(12 * blocks + 32 * chunks)
        need(digest(table) == table_hash, "its table is damaged")
        places = list(struct.iter_unpack("<III", table[:12 * blocks]))
        ends = [slot for _, _, slot in places[1:]] + [chunks]
        need(not places or places[0][2] == 0, "its slots do not begin at 0")
        for (at, length, slot), end in zip(places, ends):
            need(slot < end and at + length <= offset, "its table contradicts itself")
            for n in range(slot, end):
                yield table[12 * blocks + 32 * n:][:32], at

    def search(self, file):
        file.seek(0)
        data = file.read()
        for match in re.finditer(b"LRDRBLK1", data):
            try:
                for id in self.block(io.BytesIO(data), match.start()):
                    yield id, match.start()
            except (Damaged, struct.error):
                pass  # Magic bytes in somebody's file, or a block that is gone.

    @staticmethod
    def block(file, at):
        """The chunks of one block by their ids, which are computed here."""
        file.seek(at)
        head = file.read(56)
        magic, layout, codec, _, count, stored_len, plain_len, stored_hash = struct.unpack_from("<8sBBHIII32s", head)
        need(magic == b"LRDRBLK1" and 1 <= count <= 8192, "a block does not begin like one")
        head += file.read(3 * count + 16)
        need(digest(head[:-16])[:16] == head[-16:], "a block's header is damaged")
        need(layout == 1 and codec <= 1, "a block needs a newer reader")
        lengths = [int.from_bytes(head[56 + 3 * n:59 + 3 * n], "little") for n in range(count)]
        need(sum(lengths) == plain_len <= CHUNK_MAX and stored_len <= plain_len, "a block's lengths contradict each other")
        stored = file.read(stored_len)
        need(digest(stored) == stored_hash, "a block is damaged")
        if codec == 1:
            try:
                unpacker = zstandard.ZstdDecompressor().decompressobj()
                need(zstandard.frame_content_size(stored) in (-1, plain_len), "a block unpacks to another length")
                plain = unpacker.decompress(stored)
                need(unpacker.eof and not unpacker.unused_data, "a block is not one zstd frame")
            except zstandard.ZstdError as why:
                raise Damaged(f"a block does not decompress: {why}") from None
        else:
            plain = stored
        need(len(plain) == plain_len, "a block unpacks to another length")
        chunks, at = {}, 0
        for length in lengths:
            chunk = plain[at:at + length]
            chunks[digest(chunk)], at = chunk, at + length
        return chunks

    def chunk(self, reference):
        id, length = reference
        why = "a piece is nowhere on this disk"
        for path, offset in self.places.get(id, []):
            try:
                if (path, offset) not in self.opened:
                    with open(path, "rb") as file:
                        if path not in self.checked:
                            self.checked.add(path)
                            if blake3(file.read()).hexdigest() != path.stem:
                                self.damage(f"{path}: its bytes do not have its name; what is whole in it is still used")
                        self.opened[path, offset] = self.block(file, offset)
                    if len(self.opened) > 8:
                        self.opened.popitem(last=False)
                chunk = self.opened[path, offset].get(id)
                need(chunk is not None, "a block does not hold what its table says")
                need(len(chunk) == length, "a piece has another length than its file says")
                return chunk
            except (Damaged, OSError, struct.error) as error:
                why = f"{error} ({path})"
        raise Damaged(why)


# --- Trees ----------------------------------------------------------------------------------------------------------

def entries(packs, reference, level=0):
    """Entries of one folder in order, over all its leaves."""
    data = packs.chunk(reference)
    need(len(data) <= NODE_MAX and level <= LEVELS_MAX, "a folder's node is too large or too deep")
    values = Values(data)
    if values.choice(2) == 1:
        children = values.list(lambda: (values.bytes(), values.reference()))
        values.end()
        for _, child in children:
            yield from entries(packs, child, level + 1)
        return
    owners = values.list(values.owner)
    found = values.list(lambda: values.entry(owners))
    values.end()
    need(all(a.name < b.name for a, b in zip(found, found[1:])), "a folder's names are out of order")
    yield from found


def file_pieces(packs, pieces, level=0):
    for kind, reference, covers in pieces:
        if kind != 2:
            yield reference, covers
            continue
        data = packs.chunk(reference)
        need(len(data) <= NODE_MAX and level <= LEVELS_MAX, "a list of pieces is too large or too deep")
        values = Values(data)
        below = values.list(values.piece)
        values.end()
        need(sum(piece[2] for piece in below) == covers, "a list of pieces covers another length")
        yield from file_pieces(packs, below, level + 1)


# --- Ledger ---------------------------------------------------------------------------------------------------------

def read_ledger(folder, damage):
    snapshots, previous, expected = [], bytes(32), 1
    for path in sorted(folder.glob("ledger/*/*.entry"), key=lambda path: path.name):
        try:
            number = int(path.stem)
            if number != expected:
                damage(f"ledger entries {expected} to {number - 1} are missing")
            expected = number + 1
            data = path.read_bytes()
            need(48 <= len(data) <= ENTRY_MAX, "it has a wrong length")
            magic, _, oldest, length = struct.unpack_from("<8sHHI", data)
            need(magic == b"LRDRLED1" and length + 48 == len(data) and digest(data[:-32]) == data[-32:], "it is damaged")
            chained, known = previous, previous = previous, data[-32:]
            need(oldest <= 1, "it needs a newer reader")
            values = Values(data[16:-32])
            need(values.number() == number, "it has another number than its name")
            if values.raw(32) != chained:
                damage(f"{path}: it does not follow the entry before it")
            time_ms, trusted, _, event = values.signed(), values.choice(2), values.number(), values.choice(6)
            if event == 1:
                source, _, root = values.text(), values.raw(16), values.reference()
                (files, _, size), skipped, _ = values.totals(), values.number(), values.signed()
                need(re.fullmatch(r"[\w-][\w.-]{0,63}/[\w-][\w.-]{0,63}", source, re.ASCII), "its source has no proper name")
                values.end()
                snapshots.append(Snapshot(number, time_ms, trusted, source, root, files, size, skipped))
        except (Damaged, OSError, ValueError) as why:
            damage(f"{path}: {why}")
    return snapshots
