"""The graph of DVC's stages: which wait for which, which are up to date, and what is recorded.

DVC itself runs one stage after the other. Here it decides and records, and others run the commands.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.core.hashing import code_digest, stage_code
from data.errors import InputError

LOCK = Path("dvc.lock")


def _recorded() -> list[str]:
    """Return the stages of which DVC has recorded results, in its order."""
    from dvc.utils.serialize import load_yaml

    return [*load_yaml(LOCK)["stages"]] if LOCK.exists() else []


class Stages:
    """The stages of the checkout, by names such as `train@portraits-l2-0`.

    Raises:
        InputError: `dvc.yaml` or `params.yaml` cannot be read, or DVC is not installed.
    """

    def __init__(self) -> None:
        try:
            from dvc.exceptions import DvcException
            from dvc.lock import LockError
            from dvc.repo import Repo
            from dvc.repo.reproduce import plan_repro
        except ImportError:
            raise InputError("repro needs `pip install dvc`") from None
        logging.getLogger("dvc").setLevel(logging.ERROR)
        self._errors: tuple[type[Exception], ...] = (DvcException, LockError, OSError)
        with self._readable():
            self._repo: Any = Repo(".")
            graph = self._repo.index.graph
            plan = plan_repro(graph, self._repo.stage.collect("dvc.yaml"))
        self._stages: dict[str, Any] = {stage.addressing: stage for stage in graph}
        self.folder = Path.cwd()
        self._order = [*_recorded(), *(stage.addressing for stage in plan)]
        self._code: dict[str, str] = {}
        self.needs: Mapping[str, set[str]] = {
            name: {needed.addressing for needed in graph.successors(stage)}
            for name, stage in self._stages.items()
        }
        """Which stages each one waits for."""

    def command(self, name: str) -> str:
        """Return the command of a stage, and note the state of the code that it begins with."""
        self._code[name] = self._digest(name)
        return str(self._stages[name].cmd)

    def is_done(self, name: str) -> bool:
        """Return whether a stage is up to date; what DVC has kept of the same makes it so.

        If it is not, its former results are removed. What it waits for has to be recorded before.
        """
        from dvc.stage.cache import RunCacheNotFoundError

        stage = self._stages[name]
        with self._readable(), self._repo.lock:
            if not stage.changed():
                return True
            stage.remove_outs()  # as DVC does
            try:
                self._repo.stage_cache.restore(stage)
            except RunCacheNotFoundError:
                return False
        self._save(name)
        return True

    def record(self, name: str) -> None:
        """Have DVC record the results of a command that has succeeded.

        Raises:
            InputError: the code of the stage is no longer what it was when it began, or DVC cannot.
        """
        if self._digest(name) != self._code[name]:
            raise InputError(f"{name}: the code changed while it ran; run it again")
        self._save(name)

    def tidy(self) -> None:
        """Put what was recorded into the order in which `dvc repro` would have recorded it."""
        from dvc.utils.serialize import modify_yaml

        places = {name: place for place, name in reversed([*enumerate(self._order)])}
        if _recorded() != sorted(_recorded(), key=lambda name: places[name]):
            with self._repo.lock, modify_yaml(LOCK) as content:
                entries = content["stages"]
                for name in sorted(entries, key=lambda name: places[name]):
                    entries[name] = entries.pop(name)

    def _save(self, name: str) -> None:
        stage = self._stages[name]
        with self._readable(), self._repo.lock:
            stage.save()
            stage.commit()
            stage.dump(update_pipeline=False)

    def _digest(self, name: str) -> str:
        return code_digest(stage_code(name.split("@")[0]))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise InputError(f"DVC: {' '.join(str(error).split())}") from None
