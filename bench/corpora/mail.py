"""`mail`: what a mail program keeps: one large mbox, a Maildir of small messages, an index in SQLite.

Second generation: messages added at the end of the mbox; in the Maildir new messages, some read (so renamed), some
deleted; in the index 3 % of the rows updated in place and 2 % appended. What is measured here is a file that grows at
its end, a file that changes inside, and thousands of tiny files, side by side.

The index is written by Python's own SQLite, whose version stands in the file: its bytes may differ in a few places
between machines, its size and changes do not.

Not here: attachments as files of their own (`office.py`).
"""
import base64
import os
import random
import shutil
import sqlite3

from corpora.content import FIRST_TIME, SECOND_TIME, text, vocabulary, write

SIZES = {  # bytes of the mbox, messages in the Maildir, rows of the index
    "quick": (60 << 20, 4000, 12000),
    "full": (100 << 20, 12000, 30000),
}
INDEX = "mail/index.sqlite"
MBOX = "mail/Archive.mbox"


def make(folder, size):
    mbox_bytes, messages, rows = size
    rng = random.Random(5005)
    vocab = vocabulary(rng)
    plan = [["replace", MBOX], ["replace", INDEX]]
    make_mbox(folder, mbox_bytes, rng, vocab)
    plan += make_maildir(folder, messages, rng, vocab)
    make_index(folder, rows, rng, vocab)
    return plan


def message(rng, vocab, number, body_bytes, attached_bytes=0):
    """One mail as it lies in a file."""
    words, _ = vocab
    sender, subject = rng.choice(words), " ".join(rng.choices(words, k=5))
    head = (f"From: {sender} <{sender}@example.org>\nTo: home@example.org\nSubject: {subject}\n"
            f"Message-ID: <{number}.{rng.getrandbits(64):016x}@example.org>\nMIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=utf-8\nX-Received: {FIRST_TIME + number * 600}\n\n")
    body = text(rng, vocab, body_bytes)
    lines = b"\n".join(body[i:i + 72] for i in range(0, len(body), 72))
    attached = base64.encodebytes(rng.randbytes(attached_bytes)) if attached_bytes else b""
    return head.encode() + lines + b"\n\n" + attached + b"\n"


def make_mbox(folder, size, rng, vocab):
    def some(start, limit):
        parts, done, number = [], 0, start
        while done < limit:
            attached = rng.randint(30_000, 600_000) if rng.random() < 0.15 else 0
            mail = b"From home@example.org\n" + message(rng, vocab, number, rng.randint(500, 9000), attached)
            parts.append(mail)
            done += len(mail)
            number += 1
        return b"".join(parts), number

    first, number = some(0, size)
    added, _ = some(number, size // 50)
    write(folder / "live" / MBOX, first, FIRST_TIME)
    write(folder / "stash2" / MBOX, first + added, SECOND_TIME)


def make_maildir(folder, count, rng, vocab):
    names, plan = [], []
    for i in range(count):
        stamp = f"{FIRST_TIME + i * 60}.M{rng.randrange(10**6):06d}P{rng.randrange(30000):05d}.home"
        name = f"mail/Maildir/new/{stamp}" if i % 10 == 0 else f"mail/Maildir/cur/{stamp}:2,S"
        size = int(600 * 30 ** rng.random())
        write(folder / "live" / name, message(rng, vocab, i, size), FIRST_TIME + i)
        names.append(name)
    unread = [n for n in names if "/new/" in n]
    for name in sorted(rng.sample(unread, len(unread) // 2)):
        plan.append(["rename", name, name.replace("/new/", "/cur/") + ":2,S"])
    read = [n for n in names if "/cur/" in n]
    plan += [["delete", name] for name in sorted(rng.sample(read, count // 80))]
    for i in range(count // 40):
        name = f"mail/Maildir/new/{SECOND_TIME + i * 60}.M{rng.randrange(10**6):06d}P00001.home"
        write(folder / "stash2" / name, message(rng, vocab, count + i, rng.randint(600, 12000)), SECOND_TIME + i)
        plan.append(["add", name])
    return plan


def make_index(folder, rows, rng, vocab):
    words, _ = vocab

    def row(number):
        return (number, rng.choice(("inbox", "sent", "lists", "archive")), rng.choice(words) + "@example.org",
                " ".join(rng.choices(words, k=6)), FIRST_TIME + number * 60, 0,
                text(rng, vocab, rng.randint(300, 3500)).decode())

    first, second = folder / "live" / INDEX, folder / "stash2" / INDEX
    first.unlink(missing_ok=True)
    db = sqlite3.connect(first)
    db.executescript("pragma page_size = 4096; pragma journal_mode = off; pragma synchronous = off;"
                     "create table mail (id integer primary key, folder text, sender text, subject text,"
                     " received integer, flags integer, body text);"
                     "create index by_folder on mail (folder, received); create index by_sender on mail (sender);")
    insert = "insert into mail values (?, ?, ?, ?, ?, ?, ?)"
    db.executemany(insert, (row(i) for i in range(rows)))
    db.commit()
    db.close()
    shutil.copyfile(first, second)
    db = sqlite3.connect(second)
    db.executescript("pragma journal_mode = off; pragma synchronous = off;")
    for number in sorted(rng.sample(range(rows), rows * 3 // 100)):
        db.execute("update mail set flags = 1, folder = 'archive' where id = ?", (number,))
    db.executemany(insert, (row(i) for i in range(rows, rows + rows // 50)))
    db.commit()
    db.close()
    os.utime(first, (FIRST_TIME, FIRST_TIME))
    os.utime(second, (SECOND_TIME, SECOND_TIME))
