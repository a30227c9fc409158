"""`office`: thousands of documents of 1 to 200 KB, half of them text, half compressed already, 3 % copies of others.

Second generation: 2 % edited by an insertion, an addition at the end or an overwritten stretch. What is measured here
is the cost of each file, and how much of an edited file is stored again.

Not here: real source text (`sources.py`).
"""
import random

from corpora.content import FIRST_TIME, SECOND_TIME, text, vocabulary, write

SIZES = {"quick": 8000, "full": 20000}


def make(folder, count):
    rng = random.Random(2002)
    vocab = vocabulary(rng)
    plain, packed = ["txt", "csv", "html", "eml", "log"], ["docx", "xlsx", "pdf", "png", "zip"]
    names = []
    for i in range(count):
        size = int(1024 * 200 ** rng.random())
        place = f"dept{i % 7}/project{i % 61:02d}/{['in', 'out', 'drafts'][i % 3]}"
        if names and rng.random() < 0.03:
            origin = rng.choice(names)
            name = f"{place}/copy_of_{i:05d}_{origin.rsplit('/', 1)[1]}"
            content = (folder / "live" / origin).read_bytes()
        elif i % 2:
            name, content = f"{place}/doc{i:05d}.{rng.choice(plain)}", text(rng, vocab, size)
        else:
            name, content = f"{place}/doc{i:05d}.{rng.choice(packed)}", rng.randbytes(size)
        write(folder / "live" / name, content, FIRST_TIME + i)
        names.append(name)
    plan = []
    for name in sorted(rng.sample(names, count // 50)):
        content = bytearray((folder / "live" / name).read_bytes())
        at, kind = rng.randrange(len(content)), rng.randrange(3)
        if kind == 0:
            content[at:at] = text(rng, vocab, 200)
        elif kind == 1:
            content += text(rng, vocab, 500)
        else:
            content[at:at + 64] = rng.randbytes(64)
        write(folder / "stash2" / name, bytes(content), SECOND_TIME)
        plan.append(["replace", name])
    return plan
