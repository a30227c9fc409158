"""Where things lie: the project, and the folder that holds everything a run needs.

`BENCH_ROOT` keeps corpora, foreign programs, the work disk and raw results, some 40 GB for the profile `full`.
Nothing outside it is written, apart from the tables and plots.

Not here: what lies in those folders (`corpora/`, `setup`, `measure/disk.py`).
"""
import os
from pathlib import Path

BENCH = Path(__file__).resolve().parent
PROJECT = BENCH.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
ROOT = Path(os.environ.get("BENCH_ROOT") or CACHE / "larder" / "bench").resolve()
TOOLS = ROOT / "tools"
RUNX, RELAY, TCPCAT = (TOOLS / "bin" / name for name in ("runx", "relay", "tcpcat"))
CORPORA = ROOT / "corpora"
RESULTS = ROOT / "results"
DOCS = PROJECT / "docs" / "performance"
