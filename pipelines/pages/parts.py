"""What pages have in common: their style, tables of escaped cells, counted things."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a202c; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.lead { color: #4a5568; margin-top: .2rem; }
.finding { border-left: .35rem solid; padding: .5rem .9rem; margin: .6rem 0; background: #f7fafc; }
.serious { border-color: #c53030; } .warning { border-color: #dd6b20; }
.note { border-color: #718096; }
.finding b.severity { text-transform: uppercase; font-size: .72rem; letter-spacing: .05em; }
.serious b.severity { color: #c53030; } .warning b.severity { color: #b7500f; }
.note b.severity { color: #4a5568; }
.what { font-weight: 600; } .finding p { margin: .15rem 0; }
summary { cursor: pointer; color: #2b6cb0; }
ul { margin: .3rem 0; } li, td { overflow-wrap: anywhere; }
table { border-collapse: collapse; } .scroll { overflow-x: auto; }
th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid #e2e8f0; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; color: #4a5568; }
.pictures { display: flex; flex-wrap: wrap; gap: .5rem; }
.pictures img { width: 21.5rem; max-width: 100%; }
.bar { display: inline-block; height: .7rem; background: #2b6cb0; vertical-align: middle; }
td.bars { text-align: left; width: 12rem; }
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], bars: int | None = None) -> str:
    """A table of escaped cells; the column `bars` holds lengths from 0 to 1."""

    def cell(number: int, text: str) -> str:
        if number == bars:
            width = 12 * float(text)
            return f'<td class="bars"><span class="bar" style="width:{width:.2f}rem"></span></td>'
        return f"<td>{escape(text)}</td>"

    lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"]
    for row in rows:
        lines.append(f"<tr>{''.join(cell(*numbered) for numbered in enumerate(row))}</tr>")
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def counted(count: int, one: str, many: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{count} {one if count == 1 else many}"
