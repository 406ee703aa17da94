"""A grid of settings -> a run of each, and which is best on the validation images.

A sweep has a folder of its own, laid out as a checkout: a YAML file for each setting, and below
them what the stages write. Test images are not looked at.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from benchmark.core import paths
from benchmark.core.config import Name, Seed, Suite, load_suite, load_variant
from benchmark.core.files import read_json, write_json
from benchmark.core.hashing import code_digest, file_sha256, json_digest, stage_code
from benchmark.core.text import escape_markdown, markdown_row
from benchmark.core.yaml_files import Frozen, load, read_yaml
from benchmark.evaluation.score_table import read_score_table
from benchmark.metrics import missing_metrics
from benchmark.stats.comparison import (
    Scores,
    comparable_name,
    comparable_scores,
    compare,
    family,
    is_more_better,
    scores_of,
)
from benchmark.stats.intervals import interval_of_mean, pooled
from data.errors import InputError
from data.store import DIGEST

FOLDER = Path("runs/sweeps")


class Sweep(Frozen):
    """What is tried."""

    name: Name
    suite: Name
    variant: Name
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1)
    metric: Literal["mse_h", "psnr_h", "ssim_h", "stlpips_alex", "lpips_alex"] = "psnr_h"
    """That of the validation images by which the best is chosen."""
    grid: dict[str, tuple[Any, ...]] = Field(min_length=1)
    """Values by the path of a setting, `variant.generator.optimizer.lr` or
    `suite.training.batch_size`; every combination is tried."""

    @property
    def settings(self) -> list[dict[str, Any]]:
        """All combinations."""
        return [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]


def read_sweep(path: Path) -> Sweep:
    """Read a sweep; its name is that of its file.

    Raises:
        InputError: it cannot be read, a key is wrong, a value is there twice, or the metric cannot
            be computed here.
    """
    sweep = load(Sweep, path, name=path.stem)
    for key, values in sweep.grid.items():
        if key.split(".")[0] not in ("suite", "variant") or "." not in key:
            raise InputError(f"{path}: grid.{key}: expected suite.… or variant.…")
        if not values:
            raise InputError(f"{path}: grid.{key}: no value")
    lists = {"seeds": sweep.seeds, **{f"grid.{key}": v for key, v in sweep.grid.items()}}
    for key, values in lists.items():
        if repeated := [value for i, value in enumerate(values) if value in values[:i]]:
            raise InputError(f"{path}: {key}: {json.dumps(repeated[0])} is there twice")
    if reason := missing_metrics().get(sweep.metric):
        raise InputError(f"{path}: metric: {sweep.metric} cannot be computed: {reason}")
    return sweep


class Trials:
    """The stages of a sweep, as `benchmark.distributed.repro` runs them.

    Raises:
        InputError: a setting does not exist, may not have such a value, or changes the images or
            holes that choose.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self.folder = sweep, Path.cwd() / FOLDER / sweep.name
        self.needs: dict[str, set[str]] = {}
        self._commands: dict[str, str] = {}
        self._files: dict[str, list[Path]] = {}
        self._reads_folder: set[str] = set()
        suites: dict[str, str] = {}
        images: dict[str, Any] = {}
        for index, setting in enumerate(sweep.settings):
            suite, variant = self._write(index, setting, suites)
            images = images or suite.split_settings
            if suite.split_settings != images:
                raise InputError(
                    f"{sweep.name}, {_text(setting)}: the validation images or their holes are not "
                    "those of the first settings, so scores cannot be compared; vary other settings"
                )
            split = self._add_split(suite)
            files = [paths.SUITES / f"{suite.name}.yaml", paths.VARIANTS / f"{variant}.yaml"]
            for seed in sweep.seeds:
                options = f"--suite {suite.name} --variant {variant} --seed {seed}"
                train, score = f"train@{index}-{seed}", f"evaluate@{index}-{seed}"
                self._add(train, f"train {options}", (split,), *files)
                self._add(score, f"evaluate {options} --split val", (train,), *files)

    def run(self, index: int, seed: int) -> paths.Run:
        """Return the run of a combination of settings."""
        suite = self._commands[f"train@{index}-{seed}"].split()[2]
        return paths.Run(suite, f"{self.sweep.variant}_{index}", seed)

    def command(self, name: str) -> str:
        """Return the command of a stage, in the folder of the sweep."""
        return f"{shlex.quote(sys.executable)} -m benchmark {self._commands[name]}"

    def is_done(self, name: str) -> bool:
        """Return whether a stage has run with the present code, settings and images.

        Only a split tells whether the images of a folder have changed, so that it always runs.
        """
        if name in self._reads_folder:
            return False
        done = self._record(name)
        return done.exists() and read_json(done, "sweep") == self._state(name)

    def record(self, name: str) -> None:
        """Note that a stage has run."""
        write_json(self._record(name), self._state(name))

    def tidy(self) -> None:
        """Nothing is to be put in order."""

    def _add_split(self, suite: Suite) -> str:
        name, command = f"split@{suite.name}", f"split --suite {suite.name}"
        if suite.source.needs_folder:
            self._reads_folder.add(name)
            command += f" --root {shlex.quote(str(Path.cwd() / paths.raw(self.sweep.suite)))}"
        digest = paths.prepared(suite.name) / DIGEST  # what later stages read of the result
        self._add(name, command, (), paths.SUITES / f"{suite.name}.yaml", digest)
        return name

    def _add(self, name: str, command: str, needs: Iterable[str], *files: Path) -> None:
        self.needs[name], self._commands[name] = {*needs}, command
        self._files[name] = [self.folder / file for file in files]

    def _record(self, name: str) -> Path:
        return self.folder / "done" / f"{name}.json"

    def _state(self, name: str) -> dict[str, Any]:
        """Return digests of what the result of a stage depends on."""
        stage = name.split("@")[0]
        return {
            "code": code_digest(stage_code(stage)),
            "files": [file_sha256(p) if p.exists() else None for p in self._files[name]],
            "missing": sorted(missing_metrics()) if stage == "evaluate" else [],
            "needs": [read_json(self._record(need), "sweep") for need in sorted(self.needs[name])],
        }

    def _write(
        self, index: int, setting: Mapping[str, Any], suites: dict[str, str]
    ) -> tuple[Suite, str]:
        """Write the files of a combination and return its suite and the name of its variant."""
        names = {"suite": self.sweep.suite, "variant": self.sweep.variant}
        sources = {"suite": paths.SUITES, "variant": paths.VARIANTS}
        made = {kind: read_yaml(sources[kind] / f"{name}.yaml") for kind, name in names.items()}
        for key, value in setting.items():
            _set(made, key, value)
        content = json_digest(made["suite"])
        names["suite"] = suites.setdefault(content, f"{self.sweep.suite}_{len(suites)}")
        names["variant"] += f"_{index}"
        for kind, name in names.items():
            write_json(self.folder / sources[kind] / f"{name}.yaml", made[kind])
        try:
            suite = load_suite(names["suite"], self.folder)
            load_variant(names["variant"], self.folder)
        except InputError as error:
            raise InputError(f"{self.sweep.name}, {_text(setting)}: {error}") from None
        return suite, names["variant"]


def _set(made: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a path such as `suite.training.epochs`."""
    *way, last = key.split(".")
    place: Any = made
    for part in way:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InputError(f"grid.{key}: {part} has no settings below it")
    place[last] = value


def _text(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.split('.', 1)[1]} = {json.dumps(v)}" for key, v in setting.items())


def result(trials: Trials) -> str:
    """Return what a finished sweep says, as Markdown.

    A row is a combination of settings: its validation score with the 95 % interval over images and
    seeds, and by how much it differs from the best one.
    """
    sweep, metric = trials.sweep, trials.sweep.metric
    scores = _scores(trials)
    means = {name: interval_of_mean(s.sample(s.scored)) for name, s in scores.items()}
    best = min(means, key=lambda name: means[name].mean * (-1 if is_more_better(metric) else 1))
    others = [compare(scores[name], scores[best], metric) for name in means if name != best]
    found = {comparison.method: comparison for comparison in family(others)}
    title = comparable_name(metric)
    rows = [
        ["settings", f"{title} [95 %]", "difference from the best [95 %]", "verdict"],
        ["---", "---:", "---:", "---"],
    ]
    for name, interval in means.items():
        row = [escape_markdown(name), _interval(interval.mean, interval.low, interval.high)]
        if name == best:
            row += ["", "best"]
        else:
            c = found[name]
            row += [_interval(c.difference, c.low, c.high, "+"), c.verdict_text]
        rows.append(row)
    file = trials.folder / paths.VARIANTS / f"{sweep.variant}_{[*means].index(best)}.yaml"
    fixed = {key: values[0] for key, values in sweep.grid.items() if len(values) == 1}
    facts = [
        *([_text(fixed)] if fixed else []),
        f"{len(sweep.seeds)} seed{'s' * (len(sweep.seeds) > 1)}",
        f"{len(scores[best].scored)} validation images",
    ]
    return "\n".join([
        f"# {escape_markdown(sweep.name)}: {sweep.variant} on {sweep.suite}",
        f"{escape_markdown('; '.join(facts))}. They choose, and test images were not looked at: "
        "there the best one's score is an honest one, which here is too good, as it was chosen.",
        "",
        *map(markdown_row, rows),
        "",
        f"The best is `{file.relative_to(Path.cwd())}`.",
        "",
    ])  # fmt: skip


def _scores(trials: Trials) -> dict[str, Scores]:
    """Return the validation scores of each combination."""
    sweep, frames = trials.sweep, {}
    for index, setting in enumerate(sweep.settings):
        runs = [trials.run(index, seed) for seed in sweep.seeds]
        files = [trials.folder / run.of_split("val") / "scores.csv" for run in runs]
        varied = {key: value for key, value in setting.items() if len(sweep.grid[key]) > 1}
        frames[_text(varied)] = pd.concat([read_score_table(file) for file in files])
    image_px = load_suite(runs[0].suite, trials.folder).image_size
    tables = {
        name: comparable_scores(frame.assign(method=name), sweep.metric, image_px)
        for name, frame in frames.items()
    }
    alone = {name: scores_of(table, name, sweep.metric) for name, table in tables.items()}
    spreads = pooled({name: s.own_spread for name, s in alone.items() if s.own_spread})
    return {name: replace(s, spread=spreads.get(name)) for name, s in alone.items()}


def _interval(mean: float, low: float, high: float, sign: str = "") -> str:
    return f"{mean:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"
