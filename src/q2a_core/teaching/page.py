"""A short document as data, written as Markdown and as one HTML file that needs nothing from outside."""

import html
from dataclasses import dataclass

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em;color-scheme:light dark}"
    "table{border-collapse:collapse}th,td{border:1px solid #8888;padding:.2em .6em;text-align:left}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8882;padding:.6em}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells of text under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verbatim:
    """Text to be shown as it is."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and what stands under it: paragraphs of plain text, tables, verbatim blocks."""

    heading: str
    parts: tuple[str | Table | Verbatim, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The document."""

    title: str
    sections: tuple[Section, ...]

    def markdown(self) -> str:
        """For a notebook, a repository, or a mail."""
        lines = [f"# {_plain(self.title)}", ""]
        for section in self.sections:
            lines += [f"## {_plain(section.heading)}", ""]
            for part in section.parts:
                lines += [_markdown(part), ""]
        return "\n".join(lines).rstrip("\n") + "\n"

    def html(self) -> str:
        """For a browser and for printing."""
        body = [f"<h1>{html.escape(self.title)}</h1>"]
        for section in self.sections:
            body.append(f"<h2>{html.escape(section.heading)}</h2>")
            body += [_html(part) for part in section.parts]
        head = (
            f'<meta charset="utf-8"><title>{html.escape(self.title)}</title><style>{STYLE}</style>'
        )
        lines = ['<!doctype html><html lang="en"><head>' + head + "</head><body>", *body]
        return "\n".join([*lines, "</body></html>"]) + "\n"


def _markdown(part: str | Table | Verbatim) -> str:
    if isinstance(part, Verbatim):
        return f"```\n{part.text}\n```"
    if isinstance(part, str):
        return _plain(part)
    rows = [part.header, ("---",) * len(part.header), *part.rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def _html(part: str | Table | Verbatim) -> str:
    if isinstance(part, Verbatim):
        return f"<pre>{html.escape(part.text)}</pre>"
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in part.header)
    rows = (
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in part.rows
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _plain(text: str) -> str:
    """One line in which nothing is markup: a model may say anything."""
    text = " ".join(text.split())
    for mark in "\\`*_[]<>#|":
        text = text.replace(mark, f"\\{mark}")
    return text


def _cell(text: str) -> str:
    return _plain(text)
