"""`photos`: files of 2 to 8 MB that do not compress, by year, month and day.

Second generation: 5 % new photos, and a month's folder renamed. What is measured here is how fast bytes go through,
and whether a renamed folder costs anything.

Not here: small files (`office.py`, `sources.py`).
"""
import random

from corpora.content import FIRST_TIME, SECOND_TIME, write

SIZES = {"quick": 300 << 20, "full": 2 << 30}


def make(folder, total):
    rng = random.Random(1001)
    done = i = 0
    while done < total:
        size = rng.randint(2 << 20, 8 << 20)
        month, day = i * 24 // max(1, total // (5 << 20)) % 24, rng.randint(1, 28)
        name = f"{2024 + month // 12}/{month % 12 + 1:02d}/{day:02d}/IMG_{i:05d}.jpg"
        write(folder / "live" / name, rng.randbytes(size), FIRST_TIME + i * 60)
        done += size
        i += 1
    plan = []
    for k in range(max(1, i // 20)):
        name = f"2026/01/{k % 28 + 1:02d}/IMG_{i + k:05d}.jpg"
        write(folder / "stash2" / name, rng.randbytes(rng.randint(2 << 20, 8 << 20)), SECOND_TIME + k)
        plan.append(["add", name])
    plan.append(["rename", "2024/03", "2024/03 Easter holiday"])
    return plan
