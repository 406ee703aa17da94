"""`reports/throughput.json` -> what was timed on which machine, and how fast it was."""

from benchmark.reporting.blocks import Block, Cell, Details, Group, Head, Row, Section, Table, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.suite_report import Report
from benchmark.reporting.throughput import MADE_BY, THROUGHPUT, Throughput

TITLE = "Throughput"
GROUPS = {
    "generator": "Generators, forward pass",
    "discriminator": "Discriminators, forward pass",
    "step": "Training steps of the variants, with their batches",
    "": "Data",
    "metric": "Metrics",
}
"""By the first part of a name."""
HEADS = ("images/s", "ms an image", "GFLOP/s", "of the roof", "MiB", "spread")


def section(report: Report) -> Section:
    """Return the table of everything that was timed, or how to have one."""
    found = report.throughput
    if found is None:
        text = f"Nothing was timed: `{MADE_BY}` writes `{THROUGHPUT}`."
        return Section(TITLE, [Text(text)], "throughput", TITLE)
    note = (
        f"Measured on {plain(found.machine_text)}, in batches of {found.batch_size} images of "
        f"{found.image_px} px, by `{MADE_BY}`. Times are medians of rounds that visit everything "
        "in turn; spread is from the fastest to the slowest round, by the median. The roof is a "
        f"float32 matrix product in the same run: {found.roof.gflop_per_s:.0f} GFLOP/s. Memory is "
        "by how much setting up and one call raise the peak of the process, weights included. What "
        "quality costs is drawn in the section Budget of each suite. Times say nothing of another "
        "machine."
    )
    blocks: list[Block] = [Text(note), Details("All times", [_table(found)])]
    if found.missing:
        names = ", ".join(f"`{name.split('/')[1]}`" for name in found.missing)
        blocks.append(Text(f"Not timed, for want of weights: {names}.", "notes"))
    return Section(TITLE, blocks, "throughput", TITLE)


def _table(found: Throughput) -> Table:
    groups = []
    for kind, title in GROUPS.items():
        names = [name for name in found.subjects if _kind(name) == kind]
        if names:
            groups.append(Group([_row(found, name) for name in names], title))
    return Table("Throughput", [Head("what", True), *map(Head, HEADS)], groups)


def _kind(name: str) -> str:
    kind = name.partition("/")[0]
    return kind if kind in GROUPS else ""


def _row(found: Throughput, name: str) -> Row:
    one, share = found.subjects[name], found.roof_share(name)
    rate = one.gflop_per_s
    cells = [
        f"{one.images_per_s:,.0f}",
        f"{one.ms_per_image:.3g}",
        "—" if rate is None else f"{rate:.1f}",
        "—" if share is None else f"{share:.0%}",
        "—" if one.memory_mib is None else f"{one.memory_mib:,.0f}",
        f"{one.spread:.0%}",
    ]
    shown = name.partition("/")[2] if _kind(name) else name
    return Row([Cell(shown), *map(Cell, cells)])
