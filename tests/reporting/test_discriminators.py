"""The section on discriminators, from numbers given by hand."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.evaluation.diagnostics.probes import PROBES
from benchmark.reporting.figures.style import styles_of
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.sections.reading import PROBE_DEFINITIONS
from benchmark.reporting.sections.suite.discriminators import section
from benchmark.reporting.suite_report import SuiteReport
from tests.support.diagnoses import EARLIER_PROBES, binary, diagnosis, earlier, estimate, localizer


def shown(*diagnoses: dict[str, Any]) -> str:
    """Return the section on these diagnoses as Markdown."""
    variants = tuple(dict.fromkeys(found["variant"] for found in diagnoses))
    keyed = {(found["variant"], found["seed"]): found for found in diagnoses}
    results: Any = SimpleNamespace(
        variants=variants, diagnoses=keyed, suite=SimpleNamespace(title="Photos", name="photos")
    )
    found = section(SuiteReport(results, styles_of(variants)))
    assert found is not None
    return markdown_blocks([found])


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of all tables, headings first."""
    found: list[list[list[str]]] = []
    for block in text.split("\n\n"):
        if block.startswith("|"):
            rows = [line.strip("| ").split(" | ") for line in block.strip().splitlines()]
            found.append([rows[0], *rows[2:]])
    return found


def test_no_discriminator_is_one_sentence() -> None:
    text = shown(diagnosis("l2"))
    assert text.endswith("No variant of this suite has a discriminator.")
    assert text.startswith("## ") and not tables(text)


def test_verdicts_are_said_in_words_with_their_numbers() -> None:
    text = shown(diagnosis("gan_a", judge=localizer()), diagnosis("b", d=binary(seen="raw")))
    assert (
        "- **gan\\_a: judge**, which sees completed images, goes by the content rather than the "
        "boundary: IoU +0.05 \\[-0.05, +0.15\\] by the seam, +0.25 \\[+0.15, +0.35\\] by the "
        "content, difference -0.200 \\[-0.300, -0.100\\]." in text
    )
    assert (
        "- **b: d**, which sees raw outputs, goes by the boundary rather than the content: "
        "AUC 0.80 \\[0.70, 0.90\\] by the seam, 0.60 \\[0.50, 0.70\\] by the content, "
        "difference +0.200 \\[+0.100, +0.300\\]." in text
    )
    text = shown(diagnosis("a", judge=localizer("inconclusive")))
    assert "is not shown to go by one rather than the other" in text


def test_nothing_is_said_of_boundaries_to_one_that_sees_the_hole_alone() -> None:
    (line,) = re.findall(r"- \*\*a: d\*\*.*", shown(diagnosis("a", d=binary())))
    assert line == (
        "- **a: d**, which sees the hole alone, tells generated content from true content: "
        "AUC 0.60 \\[0.50, 0.70\\] by the content."
    )
    unsure = binary()
    unsure["effects"]["verdict"] = "inconclusive"
    text = shown(diagnosis("a", d=unsure))
    assert "is not shown to tell generated content from true content" in text
    assert "boundary" not in text


def test_effects_are_a_table() -> None:
    both = diagnosis("staged", binary=binary(), judge=localizer())
    effects = tables(shown(both))[0]
    assert effects == [
        ["discriminator", "sees", "measure", "effect of the seam", "effect of the content",
         "difference", "gradient and error"],
        ["staged: binary", "hole", "AUC (0.5 is guessing)", "—", "0.600 \\[0.500, 0.700\\]", "—",
         "—"],
        ["staged: judge", "completed", "IoU (above 0.05 counts)",
         "+0.050 \\[-0.050, +0.150\\]", "+0.250 \\[+0.150, +0.350\\]",
         "-0.200 \\[-0.300, -0.100\\]", "+0.25 \\[+0.15, +0.35\\]"],
    ]  # fmt: skip


def test_what_an_earlier_version_asked_is_shown_without_effects() -> None:
    text = shown(diagnosis("a", judge=earlier()))
    assert "**a: judge**, which sees completed images, was asked by an earlier version" in text
    confidence, _, auc = tables(text)  # and none of effects
    assert [row[1] for row in confidence[1:]].count("—") == len(PROBES) - len(EARLIER_PROBES)
    assert [row[0] for row in auc] == ["probe", *(p.replace("_", "\\_") for p in PROBES[1:])]
    assert "figures/photos_probes.svg" in text


def test_each_kind_has_its_tables_with_a_row_for_each_probe() -> None:
    both = diagnosis("staged", binary=binary(), judge=localizer())
    found = tables(shown(both, diagnosis("l2")))
    _, *found = found
    confidence, iou, auc, score, score_auc = found
    probes = [name.replace("_", "\\_") for name in PROBES]
    for table in (confidence, iou, score):
        assert [row[0] for row in table] == ["probe", *probes]
    for table in (auc, score_auc):
        assert [row[0] for row in table] == ["probe", *probes[1:]]
    assert [table[0][1] for table in found] == ["staged: judge"] * 3 + ["staged: binary"] * 2
    assert confidence[1][1] == "0.15 \\[0.10, 0.20\\]" and iou[2][1] == "0.50 \\[0.40, 0.60\\]"
    assert auc[1][1] == "0.75 \\[0.65, 0.85\\]"
    assert score[1][1] == "0.80 \\[0.70, 0.90\\]" and score_auc[1][1] == "0.60 \\[0.50, 0.70\\]"


def test_one_that_was_not_trained_has_a_sentence_and_no_row() -> None:
    text = shown(diagnosis("staged", binary=binary(trained=False)))
    assert "**staged: binary** was not trained by the scored checkpoint, of epoch 2." in text
    assert not tables(text) and ".png" not in text and ".svg" not in text


def test_seeds_are_named_where_there_are_several() -> None:
    runs = [diagnosis("a", seed, judge=localizer()) for seed in (0, 1)]
    text = shown(*runs)
    assert "**a: judge, seed 1**" in text
    assert "[a, seed 1](diagnostics/photos/a/seed1/probes.png)" in text
    alone = shown(runs[0])
    assert "seed 0" not in alone and "[a](diagnostics/photos/a/seed0/probes.png)" in alone


def test_a_single_image_has_values_without_intervals() -> None:
    numbers = localizer()
    numbers["probes"]["raw"]["iou"] = estimate(0.5, None)
    text = shown(diagnosis("a", judge=numbers))
    assert tables(text)[2][1 + [*PROBES].index("raw")][1] == "0.50"


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_is_explained(name: str) -> None:
    stem = name.split("_")[0] if name.startswith(("blur", "noise", "hard")) else name
    assert any(f"`{stem}" in words for words in PROBE_DEFINITIONS)
