"""Figures of one run: medians over its rounds, and what they are multiples of.

A phase that failed in one round has no figure at all: a median over the lucky rounds would flatter it.

Not here: how they are laid out (`document.py`, `plot.py`).
"""
import statistics

WORDS = {"backup": "first backup", "nochange": "no change", "backup2": "second generation", "list": "list",
         "restore": "restore", "restore_one": "one file", "check": "check", "prune": "prune"}
# Below this a multiple says more about the clock than about the program.
YARDSTICK_SECONDS_MIN = 0.02


def wall(row):
    return row["wall"]


def wall_until_on_disk(row):
    """Some programs end as soon as the system has taken their files; what it wrote after them counts here."""
    return row["wall"] + row["sync_after"]


def client_cpu(row):
    return row["client_cpu"]


def server_cpu(row):
    return row["server_cpu"]


def cpu(row):
    return row["client_cpu"] + row["server_cpu"]


class Readings:
    def __init__(self, results):
        self.results, self.cells = results, results["cells"]
        self.peers = [p for p in results["versions"] if any(c["peer"] == p for c in self.cells)]
        self.corpora = [n for n in results["corpora"] if any(c["corpus"] == n for c in self.cells)]
        self.phases = [p for p in WORDS if any(p in c["phases"] for c in self.cells)]

    def rows(self, peer, corpus, phase):
        cells = [c for c in self.cells if (c["peer"], c["corpus"]) == (peer, corpus)]
        return [c["phases"][phase] for c in cells if phase in c["phases"]]

    def failed(self, peer, corpus, phase):
        return any(row["rc"] != 0 for row in self.rows(peer, corpus, phase))

    def median(self, peer, corpus, phase, figure):
        """None where the phase is missing or failed."""
        rows = self.rows(peer, corpus, phase)
        if not rows or self.failed(peer, corpus, phase):
            return None
        return statistics.median(figure(row) for row in rows)

    def best(self, corpus, phase, figure, but=None):
        """The least of the peers, apart from yardstick, Larder and `but`."""
        others = [p for p in self.peers if p not in ("yardstick", "larder", but)]
        known = [self.median(p, corpus, phase, figure) for p in others]
        return min((value for value in known if value is not None), default=None)

    def multiple(self, peer, corpus, phase, figure, of):
        """`of`: a figure, or None. Returns None where the multiple would say nothing."""
        value = self.median(peer, corpus, phase, figure)
        return None if value is None or of is None or of < YARDSTICK_SECONDS_MIN else value / of

    def came_back(self, peer, corpus):
        """Whether what was restored is what was backed up: content, mode and time."""
        rows = [row for phase in ("restore", "restore_one") for row in self.rows(peer, corpus, phase)]
        if not rows:
            return "–"
        if any("differ" not in row or row["rc"] != 0 for row in rows):
            return "**failed**"
        wrong = [f"{what} of {count}" for row in rows for what, count in row["differ"].items()]
        return "yes" if not wrong else "**no**: " + ", ".join(dict.fromkeys(wrong))

    def other_cores(self, corpus):
        cells = [c for c in self.cells if c["corpus"] == corpus]
        known = [row["other_cores"] for c in cells for row in c["phases"].values() if "other_cores" in row]
        return statistics.median(known) if known else 0.0

    def failures(self):
        """(peer, corpus, phase, what) of each reading that is not there."""
        return [(c["peer"], c["corpus"], phase, row["rc"])
                for c in self.cells for phase, row in c["phases"].items() if row["rc"] != 0]

    def all_is_well(self):
        """Nothing failed, and whatever was restored is what it was."""
        differs = any(row.get("differ") for c in self.cells for row in c["phases"].values())
        return not self.failures() and not differs
