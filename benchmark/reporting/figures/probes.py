"""What discriminators answer to probes in, a chart out: how well each probe is detected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes

from benchmark.evaluation.diagnostics.probes import PROBES, REAL
from benchmark.reporting.figures.plot import (
    beside_axes,
    draw_legend,
    draw_scale,
    legend_height,
    plot_area,
)
from benchmark.reporting.figures.style import DASHED, INK, RULE, WIDTH, Style, shortened
from benchmark.reporting.figures.svg import blank_chart, chart_settings, draw, to_svg

LEFT, RIGHT, ROW, PAD, BELOW = 112, WIDTH - 14, 12, 8, 40
LONGEST_PROBE = 17


@dataclass(frozen=True)
class Judged:
    """A trained discriminator and its answers."""

    name: str
    """For readers: variant, own name, and the seed where there are several."""
    variant: str
    numbers: Mapping[str, Any]
    """Its part of a diagnosis; `probes` is read, by probe and measure."""


@chart_settings()
def probes_svg(title: str, judged: Sequence[Judged], styles: Mapping[str, Style]) -> str:
    """Draw how well each probe is detected, 0.5 being a guess.

    Args:
        title: the title.
        judged: the discriminators; not empty. All but the first of a variant have hollow markers.
        styles: of the variants.
    """
    asked = {probe for judge in judged for probe in judge.numbers["probes"]}
    probes = [probe for probe in PROBES if probe in asked - {REAL}]
    looks = _looks(judged, styles)
    top, block = legend_height(looks) + 6, ROW * len(judged) + PAD
    height = block * len(probes)
    figure = blank_chart(top + height + BELOW)
    axes = plot_area(figure, LEFT, RIGHT, top, top + height)
    axes.set_xlim(0, 1)
    axes.set_ylim(height, 0)  # a pixel is a unit, downwards
    draw_scale(axes.xaxis, "detection AUC against real images; 0.5 is guessing")
    beside = beside_axes(axes)
    for i, probe in enumerate(probes):
        place = LEFT - 8, (i + 0.5) * block
        name = shortened(probe, LONGEST_PROBE)
        axes.text(*place, name, ha="right", va="center", transform=beside)
        if i:
            draw(axes, [0, RIGHT], [i * block] * 2, color=RULE, lw=1, transform=beside)
        for j, judge in enumerate(judged):
            y = i * block + PAD / 2 + (j + 0.5) * ROW
            if probe in judge.numbers["probes"]:  # earlier versions had fewer
                _draw_answer(axes, judge, probe, looks[judge.name], y)
    draw(axes, [0.5, 0.5], [0, height], color=INK, lw=1, ls=DASHED, zorder=1)
    draw_legend(figure, looks)
    described = "; ".join(
        f"{judge.name}: "
        + ", ".join(
            f"{p} {_auc(judge, p)['value']:.2f}" for p in probes if p in judge.numbers["probes"]
        )
        for judge in judged
    )
    return to_svg(figure, title, f"Detection AUC. {described}.")


def _looks(judged: Sequence[Judged], styles: Mapping[str, Style]) -> dict[str, Style]:
    """Return how each discriminator looks: as its variant, the second one hollow."""
    looks: dict[str, Style] = {}
    seen: set[str] = set()
    for judge in judged:
        looks[judge.name] = replace(styles[judge.variant], is_hollow=judge.variant in seen)
        seen.add(judge.variant)
    return looks


def _auc(judge: Judged, probe: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = judge.numbers["probes"][probe]["auc"]
    return found


def _draw_answer(axes: Axes, judge: Judged, probe: str, style: Style, y: float) -> None:
    """Draw one AUC with its interval, where it has one."""
    found = _auc(judge, probe)
    note = f"{judge.name} on {probe}: AUC {found['value']:.2f}"
    if found["low"] is None:
        draw(axes, [found["value"]], [y], note, **style.mark)
    else:
        note += f" [{found['low']:.2f}, {found['high']:.2f}]"
        draw(axes, [found["low"], found["value"], found["high"]], [y] * 3, note, **style.interval)
