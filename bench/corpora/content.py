"""What the made-up files consist of: words of a language that does not exist, spread as words are in real ones.

Random bytes stand for what is compressed already, this text for what is not. Every call takes its random numbers from
the caller's seeded source, so a corpus is the same on every machine.

Not here: which files there are, and how they change (one file for each corpus beside this one).
"""
import os

# Times of all generated files, first and second generation.
FIRST_TIME, SECOND_TIME = 1_750_000_000, 1_760_000_000


def vocabulary(rng):
    """6000 words, and how often each comes up (after Zipf)."""
    syllables = [c + v for c in "bcdfghjklmnprstvw" for v in ("a", "e", "i", "o", "u", "an", "er", "ing")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(6000)]
    cumulated, total = [], 0.0
    for i in range(len(words)):
        total += 1.0 / (i + 3)
        cumulated.append(total)
    return words, cumulated


def text(rng, vocab, size):
    """`size` bytes of text in long lines."""
    words, cumulated = vocab
    lines, done = [], 0
    while done < size:
        line = " ".join(rng.choices(words, cum_weights=cumulated, k=600))
        lines.append(line)
        done += len(line) + 2
    return ".\n".join(lines).encode()[:size]


def write(path, content, time):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time, time))
