"""Tables of cells as plain text, Markdown and LaTeX: the three that results are pasted into."""

from __future__ import annotations

import re
from collections.abc import Sequence

Rows = Sequence[Sequence[str]]
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


def text_table(header: Sequence[str], rows: Rows, *, left: int = 1) -> str:
    """Return columns padded to their widest cell; the first `left` are flush left, the others right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    texts = [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([texts[0], rule, *texts[1:]])


def markdown_table(header: Sequence[str], rows: Rows, *, left: int = 1) -> str:
    """Return a table of GitHub's Markdown; what would end a cell or begin markup in it is escaped."""
    marks = [":--" if column < left else "--:" for column in range(len(header))]
    lines = [[markdown_text(cell) for cell in line] for line in (header, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], marks, *lines[1:]))


def markdown_text(text: str) -> str:
    """Return `text` as Markdown shows it as it is. `**bold**` around a whole cell stays."""
    bold = re.fullmatch(r"\*\*(.+)\*\*", text, re.DOTALL)
    if bold:
        return f"**{markdown_text(bold[1])}**"
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text.replace("\n", " "))


def latex_table(header: Sequence[str], rows: Rows, *, caption: str, label: str, left: int = 1) -> str:
    r"""Return a `table` environment with booktabs' rules; cells are escaped, `**bold**` cells become `\textbf`."""
    columns = "l" * left + "r" * (len(header) - left)
    body = [" & ".join(latex_text(cell) for cell in line) + r" \\" for line in rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(caption)}}}",
            rf"\label{{{re.sub(r'[^A-Za-z0-9:-]+', '-', label)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(latex_text(cell) for cell in header) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def latex_text(text: str) -> str:
    """Return `text` with what LaTeX would read as a command escaped; controls become spaces."""
    bold = re.fullmatch(r"\*\*(.+)\*\*", text, re.DOTALL)
    if bold:
        return rf"\textbf{{{latex_text(bold[1])}}}"
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(_LATEX.get(letter, letter) for letter in clean)
