"""What a section of the report is made of: titles and blocks, which Markdown and HTML render alike.

Texts are in the dialect of `dialect.py` where it says so, and else plain.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL.Image import Image

from benchmark.metrics.registry import Better


class Block:
    """A piece of a section."""


@dataclass(frozen=True)
class Text(Block):
    """A paragraph in the dialect."""

    words: str
    kind: Literal["", "lead", "headline", "notes"] = ""


@dataclass(frozen=True)
class Items(Block):
    """A list of texts in the dialect."""

    entries: Sequence[str]
    kind: Literal["", "facts", "notes"] = ""
    is_numbered: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a table; its text is plain unless it is a sentence."""

    text: str
    more: Sequence[str] = ()
    """Further lines, such as an interval."""
    rank: int | None = None
    """1 is shown in bold, 2 underlined."""
    key: float | str | None = None
    """By which a reader sorts the column; without one, the cell is last."""
    note: str = ""
    """What a pointer shows."""
    kind: str = ""
    """A verdict, which gives it a color."""
    mark: str = ""
    """SVG of a method's mark, before the text."""
    is_sentence: bool = False
    """Whether the text is in the dialect."""


@dataclass(frozen=True)
class Head:
    """The head of a column, in plain text."""

    name: str
    is_text: bool = False
    """Whether its cells stand to the left."""
    better: Better | None = None
    """Which numbers are good: an arrow says so, and a reader can sort by them."""


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    cells: Sequence[Cell]
    """Of fewer cells than heads, the last one takes the columns that are left."""
    verdict: str = ""
    """By which a reader filters rows."""


@dataclass(frozen=True)
class Group:
    """Rows that belong together."""

    rows: Sequence[Row]
    title: str = ""
    """In the dialect."""
    kind: str = ""


@dataclass(frozen=True)
class Table(Block):
    """A table: plain, of `scores` that a reader sorts, or of `claims` that a reader filters."""

    title: str
    """In plain text."""
    heads: Sequence[Head]
    groups: Sequence[Group]
    kind: Literal["", "scores", "claims"] = ""


def simple_table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1
) -> Table:
    """Return a table of plain text, the first columns to the left."""
    cells = [Row([Cell(cell) for cell in row]) for row in rows]
    return Table(title, [Head(h, i < text_columns) for i, h in enumerate(heads)], [Group(cells)])


@dataclass(frozen=True)
class Figure:
    """A drawing, which Markdown links and HTML contains."""

    path: str
    """Of its file, relative to `reports/`."""
    svg: str
    caption: str
    """In the dialect."""
    alt: str
    choice: str = ""
    """Its name among the figures of a `Choice`."""


@dataclass(frozen=True)
class Choice:
    """Figures of one kind, of which a reader sees the chosen one; the first one at first."""

    caption: str
    """In the dialect."""
    label: str
    """Of the selection, in plain text."""
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Figures(Block):
    """Drawings side by side."""

    figures: Sequence[Figure | Choice]


@dataclass(frozen=True)
class Picture:
    """A picture of pixels."""

    path: str
    """Of its PNG file, relative to `reports/`."""
    alt: str
    caption: str = ""
    """In the dialect."""
    image: Image | None = None
    """What the report writes there; None where the file is there already."""


@dataclass(frozen=True)
class Pictures(Block):
    """Pictures, which Markdown links; HTML has a gallery instead where there is data for it."""

    pictures: Sequence[Picture]
    gallery: Sequence[Mapping[str, Any]] = ()
    """For each suite what the page's script shows."""


@dataclass(frozen=True)
class Details(Block):
    """Blocks that are folded until a reader opens them."""

    summary: str
    """In plain text."""
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Download:
    """A text file that the report writes, and HTML contains."""

    path: str
    """Relative to `reports/`."""
    media_type: str
    content: str


@dataclass(frozen=True)
class Downloads(Block):
    """Files in a row."""

    files: Sequence[Download]


@dataclass(frozen=True)
class Card:
    """A suite in short."""

    title: str
    """In plain text."""
    target: str
    """Name of its section."""
    rows: Sequence[tuple[Cell, Cell]]
    """Each variant with the verdict on it."""
    text: str
    """In the dialect."""


@dataclass(frozen=True)
class Cards(Block):
    """Suites side by side."""

    cards: Sequence[Card]


@dataclass(frozen=True)
class Section(Block):
    """A title and blocks; without a title the blocks belong to the section around."""

    title: str
    """In the dialect."""
    blocks: Sequence[Block]
    name: str = ""
    """By which links find it; of a title of ours it is what GitHub makes of it."""
    short: str = ""
    """Its title in the list of contents, in plain text; without one, it is not there."""


def walk(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield all blocks, those within sections and details too."""
    for block in blocks:
        yield block
        if isinstance(block, Section | Details):
            yield from walk(block.blocks)


def figures_in(block: Figures) -> list[Figure]:
    """Return all figures, those of choices too."""
    nested = [f.figures if isinstance(f, Choice) else [f] for f in block.figures]
    return [figure for figures in nested for figure in figures]
