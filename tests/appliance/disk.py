"""A disk with a write cache that forgets: what was not flushed is lost when the power goes.

qemu reads and writes it over NBD on a local socket; the protocol's smallest useful part is spoken here, so that no
other program is needed. What the guest sees and what would outlast a power cut are two files. A write goes into the
first and is remembered; a flush carries what is remembered over to the second. At a cut a seed decides what becomes of
each write that is still remembered: there as a whole, there in some of its sectors, or gone, so that later writes may
be there without earlier ones. No order between two flushes is kept, as on a real drive. A disk that `lies` answers a
flush and does nothing; what it has outlives a cut only once newer writes have pushed it out of the cache.

Sectors are whole or not there: that much every drive and every filesystem agree on.
NBD: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md. Not here: who pulls the plug (`machine`).
"""
import os
import socket
import struct
import threading
from collections import Counter, deque
from pathlib import Path

from debian import run

SECTOR = 512
DISK_BYTES = 448 << 20
# A drive's own memory. What is older has found its way to the platter without being asked to.
CACHE_BYTES_MAX = 32 << 20
LIAR_CACHE_BYTES_MAX = 4 << 20

MAGIC, HAVE_OPTION = b"NBDMAGIC", b"IHAVEOPT"
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
OPTION_ABORT, OPTION_INFO, OPTION_GO = 2, 6, 7
OPTION_REPLY, ACK, INFO, UNSUPPORTED = 0x3E889045565A9, 1, 3, (1 << 31) + 1
HAS_FLAGS, SEND_FLUSH = 1, 4
REQUEST, REPLY = 0x25609513, 0x67446698
READ, WRITE, DISCONNECT, FLUSH = range(4)
EIO, EINVAL = 5, 22


class Disk:
    """One disk with an empty filesystem called `name`."""

    def __init__(self, folder, name, lies=False):
        self.name, self.lies = name, lies
        self.medium_path = Path(folder) / f"{name}.img"
        self.socket_path = str(Path(folder) / f"{name}.sock")
        with open(self.medium_path, "wb") as file:
            file.truncate(DISK_BYTES)
        # Without lazy tables the guest's kernel writes nothing by itself: what is unflushed at a cut is the agent's.
        run("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-L", name, "-E", "lazy_itable_init=0,lazy_journal_init=0",
            str(self.medium_path))
        seen_path = Path(folder) / f"{name}.seen"
        run("cp", "--sparse=always", str(self.medium_path), str(seen_path))
        self.medium = os.open(self.medium_path, os.O_RDWR)
        self.seen = os.open(seen_path, os.O_RDWR)
        self.cache, self.cache_bytes = deque(), 0
        self.changed = threading.Condition()
        # Counts up at each loss of power: a connection from before says nothing any more.
        self.life = 0
        # Operations until it stands still, and whether it does.
        self.left, self.stands_still = None, False
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.socket_path)
        listener.listen()
        threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    # ---- what the disk does

    def read(self, at, count):
        """What the guest sees."""
        return os.pread(self.seen, count, at)

    def write(self, at, content):
        """Takes a write into the cache; an overfull cache lets go of the oldest."""
        os.pwrite(self.seen, content, at)
        self.cache.append((at, content))
        self.cache_bytes += len(content)
        while self.cache_bytes > (LIAR_CACHE_BYTES_MAX if self.lies else CACHE_BYTES_MAX):
            self._settle_oldest()

    def flush(self):
        """Makes everything outlast a cut, unless the disk lies."""
        while self.cache and not self.lies:
            self._settle_oldest()

    def _settle_oldest(self):
        at, content = self.cache.popleft()
        self.cache_bytes -= len(content)
        os.pwrite(self.medium, content, at)

    def stand_still_from(self, operation):
        """From the n-th write or flush on it does not do the next flush that something waits for, and answers nothing
        more: that is where the power will go."""
        with self.changed:
            self.left, self.stands_still = operation, False

    def wait_until_still(self, seconds):
        """Whether it came to that in time."""
        with self.changed:
            return self.changed.wait_for(lambda: self.stands_still, seconds)

    def _count_down(self, kind, life):
        """A flush is where most is at stake: any part of what came before it may be there or not."""
        if self.left is not None:
            self.left -= 1
            self.stands_still = self.left <= 0 and kind == FLUSH and bool(self.cache)
            self.changed.notify_all()
        self.changed.wait_for(lambda: not self.stands_still or life != self.life)

    def lose_power(self, dice):
        """Decides what becomes of the unflushed; returns how many writes were unflushed, lost and torn."""
        with self.changed:
            self.life += 1
            self.left, self.stands_still = None, False
            self.changed.notify_all()
            counts = Counter(unflushed=len(self.cache))
            # From hardly anything to nearly everything: both ends find other mistakes than the middle.
            chance = dice.choice([0.0, 0.1, 0.5, 0.9, 1.0])
            for at, content in self.cache:
                # In the order of issue, since of two writes to one place the older never wins over the newer.
                counts[self._survive(at, content, chance, dice)] += 1
            for at, content in self.cache:
                os.pwrite(self.seen, os.pread(self.medium, len(content), at), at)
            self.cache.clear()
            self.cache_bytes = 0
            return counts

    def _survive(self, at, content, chance, dice):
        sectors = len(content) // SECTOR
        if sectors > 1 and dice.random() < 0.2:
            for sector in dice.sample(range(sectors), dice.randint(1, sectors - 1)):
                part = content[sector * SECTOR:(sector + 1) * SECTOR]
                os.pwrite(self.medium, part, at + sector * SECTOR)
            return "torn"
        if dice.random() < chance:
            os.pwrite(self.medium, content, at)
            return "kept"
        return "lost"

    # ---- how qemu talks to it

    def _listen(self, listener):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._serve, args=(connection, self.life), daemon=True).start()

    def _serve(self, connection, life):
        with connection, connection.makefile("rb", 1 << 20) as incoming:
            try:
                if self._agree(connection, incoming):
                    while self._answer(connection, incoming, life):
                        pass
            except (OSError, struct.error):
                pass  # qemu was killed in the middle of a word, which is what this is for.

    def _agree(self, connection, incoming):
        """The handshake: one export, whatever its name, that can flush. True when transmission begins."""
        connection.sendall(MAGIC + HAVE_OPTION + struct.pack(">H", FIXED_NEWSTYLE | NO_ZEROES))
        incoming.read(4)
        while True:
            _, option, length = struct.unpack(">8sII", incoming.read(16))
            incoming.read(length)

            def reply(kind, content=b"", option=option):
                connection.sendall(struct.pack(">QIII", OPTION_REPLY, option, kind, len(content)) + content)

            if option in (OPTION_INFO, OPTION_GO):
                reply(INFO, struct.pack(">HQH", 0, DISK_BYTES, HAS_FLAGS | SEND_FLUSH))
                reply(ACK)
                if option == OPTION_GO:
                    return True
            elif option == OPTION_ABORT:
                return False
            else:
                reply(UNSUPPORTED)

    def _answer(self, connection, incoming, life):
        magic, _, kind, handle, at, count = struct.unpack(">IHHQQI", incoming.read(28))
        if magic != REQUEST or kind == DISCONNECT:
            return False
        content = incoming.read(count) if kind == WRITE else b""
        error, out = 0, b""
        with self.changed:
            if kind != READ:
                self._count_down(kind, life)
            if life != self.life:
                error = EIO
            elif kind == READ:
                out = self.read(at, count)
            elif kind == WRITE and len(content) == count:
                self.write(at, content)
            elif kind == FLUSH:
                self.flush()
            else:
                error = EINVAL
        connection.sendall(struct.pack(">IIQ", REPLY, error, handle) + (b"" if error else out))
        return True
