"""Sections of the report in, GitHub's Markdown out; text of users is text there."""

from collections.abc import Sequence

from benchmark.core.text import escape_inline, escape_markdown, markdown_row, not_a_block
from benchmark.metrics.registry import ARROWS
from benchmark.reporting.blocks import (
    Block,
    Cards,
    Cell,
    Choice,
    Details,
    Downloads,
    Figure,
    Figures,
    Head,
    Items,
    Pictures,
    Section,
    Table,
    Text,
)
from benchmark.reporting.dialect import parse
from data.errors import printable

RANKS = {1: "**{}**", 2: "<ins>{}</ins>"}


def markdown_page(title: str, blocks: Sequence[Block]) -> str:
    """Return a page with a title and blocks; links are relative to the folder of the page."""
    return f"# {words(title)}\n\n{markdown_blocks(blocks)}\n"


def markdown_blocks(blocks: Sequence[Block]) -> str:
    """Return blocks whose sections have headings of the second level."""
    return "\n\n".join(_all(blocks, 2))


def words(text: str) -> str:
    """Return a text of the dialect as Markdown."""
    shown = []
    for kind, content, target in parse(text):
        if kind == "code":
            shown.append(f"`{printable(content)}`")
        elif kind == "strong":
            shown.append(f"**{escape_inline(content)}**")
        elif kind == "link":
            shown.append(f"[{escape_inline(content)}]({target})")
        else:
            shown.append(escape_inline(content))
    return not_a_block("".join(shown))


def _all(blocks: Sequence[Block], level: int) -> list[str]:
    return [text for block in blocks if (text := _block(block, level))]


def _block(block: Block, level: int) -> str:
    """Return a block as Markdown.

    Args:
        block: the block.
        level: of the heading of a section.
    """
    match block:
        case Text(text, kind):
            return f"**{words(text)}**" if kind == "headline" else words(text)
        case Items(entries, _, is_numbered):
            return "\n".join(
                f"{f'{i}.' if is_numbered else '-'} {words(e)}" for i, e in enumerate(entries, 1)
            )
        case Table():
            return markdown_table(block)
        case Figures(figures):
            return "\n\n".join(_figure(figure) for figure in figures)
        case Pictures(pictures):
            shown = [(p.caption, f"![{escape_markdown(p.alt)}]({p.path})") for p in pictures]
            return "\n\n".join("\n\n".join([words(c), link] if c else [link]) for c, link in shown)
        case Details(summary, blocks):
            head = f"<details><summary>{escape_markdown(summary)}</summary>"
            return "\n\n".join([head, *_all(blocks, level), "</details>"])
        case Downloads(files):
            return f"Files: {', '.join(f'[{f.path}]({f.path})' for f in files)}"
        case Cards(cards):
            return "\n".join(f"- **{escape_markdown(c.title)}**: {words(c.text)}" for c in cards)
        case Section(title, blocks):
            inner = _all(blocks, level + bool(title))
            return "\n\n".join([f"{'#' * level} {words(title)}", *inner] if title else inner)
    raise TypeError(f"{type(block).__name__} is no block that Markdown can show")


def _figure(figure: Figure | Choice) -> str:
    """Return a figure with its caption; of a choice the first, with links to the others."""
    if isinstance(figure, Figure):
        return f"{words(figure.caption)}\n\n![{escape_markdown(figure.alt)}]({figure.path})"
    first, *others = figure.figures
    text = f"{words(figure.caption)}\n\n![{escape_markdown(first.alt)}]({first.path})"
    links = [f"[{escape_markdown(other.choice)}]({other.path})" for other in others]
    return f"{text}\n\n{escape_markdown(figure.label)}: {', '.join(links)}" if links else text


def markdown_table(table: Table) -> str:
    """Return a table; the title of a group is a row of its own."""
    sides = ["---" if head.is_text else "---:" for head in table.heads]
    lines = [markdown_row([_head(head) for head in table.heads]), markdown_row(sides)]
    for group in table.groups:
        if group.title:
            title = words(group.title) if table.kind == "claims" else f"*{words(group.title)}*"
            lines.append(markdown_row([title, *[""] * (len(sides) - 1)]))
        for row in group.rows:
            cells = [_cell(cell) for cell in row.cells]
            lines.append(markdown_row([*cells, *[""] * (len(sides) - len(cells))]))
    return "\n".join(lines)


def _head(head: Head) -> str:
    arrow = f" {ARROWS[head.better]}" if head.better else ""
    return f"{escape_markdown(head.name)}{arrow}"


def _cell(cell: Cell) -> str:
    text = words(cell.text) if cell.is_sentence else escape_markdown(cell.text)
    return "<br>".join(
        [RANKS.get(cell.rank or 0, "{}").format(text), *map(escape_markdown, cell.more)]
    )
