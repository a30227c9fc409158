"""`vm`: the raw image of a disk: about 25 % holes, 35 % random, 40 % what a file system holds.

Second generation: 1 % of the 4 KB pages in use rewritten, and 1 MB inserted in the middle. What is measured here is
one large file that changes in many places, where fixed or large chunks store nearly everything again.

Not here: where the texts come from (`sources.py` finds the kernel's sources).
"""
import os
import random

from corpora.content import FIRST_TIME, SECOND_TIME, text, vocabulary
from corpora.sources import tree

SIZES = {"quick": 300, "full": 4096}  # MiB
PAGE = 4096


class Blocks:
    """Endless content as a file system has it: each file begins on a page of its own."""

    def __init__(self, rng):
        self.rng, self.rest = rng, b""
        self.files = sorted(p for p in tree("old").rglob("*.[ch]") if not p.is_symlink())
        rng.shuffle(self.files)
        self.left = iter(self.files)

    def take(self, size):
        parts, got = [self.rest], len(self.rest)
        while got < size:
            path = next(self.left, None)
            if path is None:
                self.rng.shuffle(self.files)
                self.left = iter(self.files)
                continue
            content = path.read_bytes()
            content += bytes(-len(content) % PAGE)
            parts.append(content)
            got += len(content)
        content = b"".join(parts)
        self.rest = content[size:]
        return content[:size]


def make(folder, mib):
    rng = random.Random(3003)
    blocks, size = Blocks(rng), mib << 20
    first, second = folder / "live" / "disk.img", folder / "stash2" / "disk.img"
    for path in (first, second):
        path.parent.mkdir(parents=True, exist_ok=True)
    used = write_first(first, size, rng, blocks)
    pages = [at for start, length in used for at in range(start, start + length, PAGE)]
    vocab = vocabulary(rng)
    changed = {at: (rng.randbytes(PAGE) if k % 2 else text(rng, vocab, PAGE))
               for k, at in enumerate(sorted(rng.sample(pages, len(pages) // 100)))}
    write_second(first, second, size, changed, rng.randbytes(1 << 20))
    os.utime(first, (FIRST_TIME, FIRST_TIME))
    os.utime(second, (SECOND_TIME, SECOND_TIME))
    return [["replace", "disk.img"]]


def write_first(path, size, rng, blocks):
    """Returns where it is not a hole: (offset, length)."""
    used, at = [], 0
    with open(path, "wb") as image:
        image.truncate(size)
        while at < size:
            length = min(size - at, rng.randint(16, 2048) * PAGE)
            kind = rng.random()
            if kind >= 0.25:
                image.seek(at)
                image.write(rng.randbytes(length) if kind < 0.60 else blocks.take(length))
                used.append((at, length))
            at += length
    return used


def write_second(first, second, size, changed, inserted):
    middle = (size // 2) & ~(PAGE - 1)
    with open(first, "rb") as old, open(second, "wb") as new:
        new.truncate(size + len(inserted))
        out = 0
        for at in range(0, size, 1 << 20):
            block = bytearray(old.read(1 << 20))
            for page in range(at, at + len(block), PAGE):
                if page in changed:
                    block[page - at:page - at + PAGE] = changed[page]
            if at <= middle < at + len(block):
                block[middle - at:middle - at] = inserted
            if block.count(0) != len(block):
                new.seek(out)
                new.write(block)
            out += len(block)
