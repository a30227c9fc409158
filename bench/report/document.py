"""The written page of one run: conditions, then for each corpus time, multiples, memory and bytes.

It names nothing of the machine that would tell whose it is: cores and kernel, but no host, no path.

Not here: the figures themselves (`readings.py`), the plot (`plot.py`).
"""
from measure import box, link
from report.readings import WORDS, Readings, client_cpu, cpu, server_cpu, wall, wall_until_on_disk

MULTIPLE_PHASES = ["backup", "nochange", "backup2", "restore"]
MEMORY_PHASES = ["backup", "nochange", "backup2", "restore", "check"]
READING = """Time: `seconds of wall clock / seconds of CPU at the client + at the server`. Multiples: `wall / CPU of both
ends`; of the yardstick, which is `tar | zstd -3 | b3sum` on the local disk (unpacking for a restore, a bare `find` for no
change), and of the best other peer, separately for wall and CPU. "Until on the disk": wall and a sync after the program
has ended, for those that do not wait themselves; the yardstick and Larder do. Memory: peak of `client + server`, resident. Stored:
blocks allocated in the server's folder, without the parity that Larder makes when it has nothing else to do (6 % more,
against bad sectors; no peer has any). Wire: both ways, with headers. "–": the peer has no such command, or the corpus
is one file; "n/a": what it is a multiple of took less than 0.02 s. "Came back": all files of a full restore and one old
file, by content, mode and time."""


def stem(profile, link_kind, small_box):
    return f"{profile}-{link_kind}" + ("-small-box" if small_box else "")


def seconds(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def megabytes(value, unit=1e6):
    value /= unit
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else f"{value:.3f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def missing(readings, peer, corpus, phase):
    """What stands where a figure would."""
    return "**failed**" if readings.failed(peer, corpus, phase) else "–"


def time_table(readings, corpus):
    def entry(peer, phase):
        took = readings.median(peer, corpus, phase, wall)
        if took is None:
            return missing(readings, peer, corpus, phase)
        ends = [readings.median(peer, corpus, phase, end) for end in (client_cpu, server_cpu)]
        return f"{seconds(took)} / {seconds(ends[0])} + {seconds(ends[1])}"

    head = ["time"] + [WORDS[p] for p in readings.phases] + ["came back"]
    return table(head, [[peer, *(entry(peer, p) for p in readings.phases), readings.came_back(peer, corpus)]
                        for peer in readings.peers])


def multiples_table(readings, corpus):
    columns = [(p, WORDS[p], (wall, cpu)) for p in MULTIPLE_PHASES if p in readings.phases]
    if "restore" in readings.phases:
        columns.append(("restore", "restore, until on the disk", (wall_until_on_disk,)))

    def entry(peer, phase, figures, reference):
        if readings.median(peer, corpus, phase, wall) is None:
            return missing(readings, peer, corpus, phase)
        multiples = [readings.multiple(peer, corpus, phase, f, reference(phase, f)) for f in figures]
        return " / ".join("n/a" if value is None else f"{value:.2f}" for value in multiples)

    def block(title, reference_of):
        peers = [p for p in readings.peers if p != "yardstick"]
        rows = [[peer, *(entry(peer, p, figures, reference_of(peer)) for p, _, figures in columns)] for peer in peers]
        return table([title] + [words for _, words, _ in columns], rows)

    blocks = []
    if "yardstick" in readings.peers:
        blocks.append(block("× yardstick", lambda peer: lambda p, f: readings.median("yardstick", corpus, p, f)))
    if any(p not in ("yardstick", "larder") for p in readings.peers):
        blocks.append(block("× best other peer", lambda peer: lambda p, f: readings.best(corpus, p, f, but=peer)))
    return "\n".join(blocks)


def memory_table(readings, corpus):
    phases = [p for p in MEMORY_PHASES if p in readings.phases]

    def entry(peer, phase):
        ends = [readings.median(peer, corpus, phase, lambda row, e=e: row[e + "_rss_kb"]) for e in ("client", "server")]
        if None in ends:
            return missing(readings, peer, corpus, phase)
        return f"{ends[0] / 1024:.0f} + {ends[1] / 1024:.0f}"

    return table(["memory, MiB"] + [WORDS[p] for p in phases],
                 [[peer, *(entry(peer, p) for p in phases)] for peer in readings.peers])


def bytes_table(readings, corpus):
    wire_phases = [p for p in MULTIPLE_PHASES if p in readings.phases]

    def stored(peer, phase):
        return readings.median(peer, corpus, phase, lambda row: row.get("stored_bytes", 0))

    def entries(peer):
        first, second, last = (stored(peer, p) for p in ("backup", "backup2", "prune"))
        before = stored(peer, "nochange") if peer != "yardstick" and stored(peer, "nochange") else first
        shown = [megabytes(first) if first is not None else missing(readings, peer, corpus, "backup")]
        if "backup2" in readings.phases:
            shown.append(megabytes(max(0, second - before)) if None not in (second, before)
                         else missing(readings, peer, corpus, "backup2"))
        if "prune" in readings.phases:
            shown.append(megabytes(last) if last is not None else missing(readings, peer, corpus, "prune"))
        for phase in wire_phases:
            sent = readings.median(peer, corpus, phase, lambda row: row["wire_bytes"])
            shown.append(megabytes(sent) if sent is not None else missing(readings, peer, corpus, phase))
        return shown

    head = ["bytes, MB", "stored: first"]
    head += ["added by second"] if "backup2" in readings.phases else []
    head += ["after prune"] if "prune" in readings.phases else []
    return table(head + [f"wire: {WORDS[p]}" for p in wire_phases], [[p, *entries(p)] for p in readings.peers])


def conditions(results):
    where = [link.WORDS[results["link"]]] + ([box.WORDS] if results["small_box"] else [])
    programs = ["larder and larderd " + text.split()[-1] if name == "larder" else text
                for name, text in results["versions"].items()]
    rounds = "a single round" if results["rounds"] == 1 else f"medians of {results['rounds']} rounds"
    lines = [
        f"Measured {results['date']} on {results['cores']} cores ({results['machine']}), Linux {results['kernel']}, "
        f"TCP with {results['congestion']}; {rounds}, every program in turn.",
        f"{'; '.join(where).capitalize()}. No program encrypts its connection here.",
        "Before each phase the caches are dropped; every program begins on a new, empty ext4.",
        f"Programs: {'; '.join(programs)}."]
    if "sources" in results["corpora"]:
        lines.append(f"`sources` is made of the Linux kernel's sources: {results['kernel_sources']}.")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def write(results):
    readings = Readings(results)
    name = stem(results["profile"], results["link"], results["small_box"])
    title = ", ".join([results["profile"], results["link"]] + (["small box"] if results["small_box"] else []))
    parts = [f"# Larder beside its peers: {title}\n",
             f"Written by `bench/run`; how it measures is in `bench/README.md`.\n",
             f"![Wall and CPU time]({name}.svg)\n",
             conditions(results), READING + "\n"]
    for corpus in readings.corpora:
        size = results["corpora"][corpus]
        files = "1 file" if size["files"] == 1 else f"{size['files']:,} files"
        parts += [f"## {corpus}\n",
                  f"{files}, {size['bytes'] / 1e6:,.0f} MB; the second generation touches files of "
                  f"{size['touched_bytes'] / 1e6:,.1f} MB. Others kept {readings.other_cores(corpus):.1f} of "
                  f"{results['cores']} cores busy (median).\n",
                  time_table(readings, corpus), multiples_table(readings, corpus), memory_table(readings, corpus),
                  bytes_table(readings, corpus)]
    failed = [f"- {peer}, {corpus}, {WORDS[phase]}: {what if isinstance(what, str) else f'exit code {what}'}"
              for peer, corpus, phase, what in dict.fromkeys(readings.failures())]
    parts += ["## Failures\n", "\n".join(failed) + "\n" if failed else "None.\n"]
    return "\n".join(parts)
