"""The picture of one run: for each corpus and phase a small chart, in each chart two bars for every program.

The upper bar is wall time, the lower one CPU time, dark at the client and pale at the server. Every chart has its own
scale, as a second of listing and a minute of backing up do not fit on one. SVG by hand: text that a diff can show.

Not here: figures beyond time (`document.py`).
"""
from report.document import seconds
from report.readings import WORDS, Readings, client_cpu, server_cpu, wall

PHASES = ["backup", "nochange", "backup2", "restore"]
# Wall, CPU of the client, CPU of the server.
COLOURS = {"larder": ("#c2410c", "#ea8a4f", "#f8cfae"), "yardstick": ("#334155", "#64748b", "#cbd5e1")}
OTHERS = ("#7c8ba1", "#a9b5c6", "#dbe2ea")
NAMES_PX, CHART_PX, BAR_PX, GAP_PX, ROW_PX, HEAD_PX, VALUE_PX = 92, 218, 7, 22, 21, 34, 44
TOP_PX = 64


def text(x, y, words, size=11, colour="#334155", anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{words}</text>')


def bar(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.6):.1f}" height="{height}" fill="{colour}"/>'


def chart(readings, corpus, phase, x, y):
    figures = {peer: [readings.median(peer, corpus, phase, figure) for figure in (wall, client_cpu, server_cpu)]
               for peer in readings.peers}
    largest = max((max(f[0], f[1] + f[2]) for f in figures.values() if f[0] is not None), default=0) or 1
    scale, parts, values = (CHART_PX - VALUE_PX - GAP_PX) / largest, [], []
    bottom = y + ROW_PX * len(figures) - 3
    parts.append(f'<path d="M{x} {y - 3}V{bottom}" stroke="#94a3b8"/>')
    for row, (peer, (took, client, server)) in enumerate(figures.items()):
        at, colours = y + row * ROW_PX, COLOURS.get(peer, OTHERS)
        if took is None:
            failed = readings.failed(peer, corpus, phase)
            values.append(text(x + 4, at + 10, "failed" if failed else "–", 10, "#b91c1c" if failed else "#94a3b8"))
            continue
        parts += [bar(x, at, took * scale, BAR_PX, colours[0]),
                  bar(x, at + BAR_PX + 1, client * scale, BAR_PX, colours[1])]
        if server * scale >= 0.5:
            parts.append(bar(x + client * scale, at + BAR_PX + 1, server * scale, BAR_PX, colours[2]))
        end = x + max(took, client + server) * scale + 4
        values.append(text(end, at + 11, f"{seconds(took)} s", 10, weight="bold" if peer == "larder" else "normal"))
    yard = figures.get("yardstick", [None])[0]
    if yard:
        parts.append(f'<path d="M{x + yard * scale:.1f} {y - 3}V{bottom}" stroke="#334155" stroke-dasharray="2 3"/>')
    # A white rim keeps a figure readable where the yardstick's line goes through it.
    return [*parts, '<g stroke="#ffffff" stroke-width="3" paint-order="stroke">', *values, "</g>"]


def legend(width, peers):
    colours = COLOURS["larder"] if "larder" in peers else OTHERS
    parts, x = [], NAMES_PX
    for colour, words, step in zip(colours, ("wall time (the figure)", "CPU at the client", "CPU at the server"),
                                   (150, 125, 130)):
        parts += [bar(x, 32, 14, BAR_PX, colour), text(x + 19, 39, words)]
        x += step
    if "yardstick" in peers:
        parts += [f'<path d="M{x + 5} 29V42" stroke="#334155" stroke-dasharray="2 3"/>',
                  text(x + 13, 39, "yardstick, wall")]
    words = "shorter is better; each chart has its own scale"
    parts.append(text(width - 14, 39, words, colour="#64748b", anchor="end"))
    return parts


def draw(results):
    readings = Readings(results)
    phases = [p for p in PHASES if p in readings.phases]
    block = HEAD_PX + ROW_PX * len(readings.peers)
    width = max(NAMES_PX + CHART_PX * len(phases) + 10, 940)
    height = TOP_PX + block * len(readings.corpora) + 8
    words = f'{results["profile"]}, {results["link"]}' + (", small box" if results["small_box"] else "")
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
             f'height="{height}" font-family="Helvetica, Arial, sans-serif">',
             f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
             text(14, 20, f"Larder beside its peers: {words}", 15, "#0f172a", weight="bold"),
             *legend(width, readings.peers)]
    for number, corpus in enumerate(readings.corpora):
        y = TOP_PX + number * block
        parts.append(text(14, y + 12, corpus, 13, "#0f172a", weight="bold"))
        for row, peer in enumerate(readings.peers):
            parts.append(text(NAMES_PX - 8, y + HEAD_PX - 10 + row * ROW_PX + 11, peer, 11,
                              COLOURS.get(peer, ("#475569",))[0], "end", "bold" if peer == "larder" else "normal"))
        for column, phase in enumerate(phases):
            x = NAMES_PX + column * CHART_PX
            parts += [text(x, y + 12, WORDS[phase], 11, "#475569"),
                      *chart(readings, corpus, phase, x, y + HEAD_PX - 10)]
    return "\n".join([*parts, "</svg>\n"])
