"""A copy of the checkout in which tests run the whole pipeline."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.tiny import ROOT, params_text

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
RESULTS = (
    *("data/prepared", "models/checkpoints", "reports/metrics", "reports/scores"),
    *("reports/curves", "reports/diagnostics", "reports/provenance"),
)
"""Where the results of the stages lie."""


def git(*arguments: str, cwd: Path = ROOT) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


class PipelineCheckout:
    """A copy of the checkout with a tiny suite, as a repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Untracked files too, so that the test holds before a commit.
        for line in git("ls-files", "--cached", "--others", "--exclude-standard"):
            source, target = ROOT / line, folder / line
            if source.is_file() and not line.startswith(("reports/", "dvc.lock")):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        (folder / "reports/reference").mkdir(parents=True)
        if (ROOT / "reports/throughput.json").is_file():  # measured, and made by no stage
            shutil.copy(ROOT / "reports/throughput.json", folder / "reports")
        shutil.copy(ROOT / "tests/support/tiny_suite.yaml", folder / "benchmark/suites/tiny.yaml")
        (folder / "data/raw/tiny").mkdir()
        # Each weight is written, copied and hashed many times.
        networks = folder / "models/generators"
        for name, wide, narrow in (
            ("context_encoder", "CHANNELS = 4000", "CHANNELS = 40"),
            ("locpaint_autoencoder", "512", "32"),
        ):
            text = (networks / f"{name}.py").read_text()
            assert wide in text
            (networks / f"{name}.py").write_text(text.replace(wide, narrow))
        self.select("l2")
        git("init", "--quiet", cwd=folder)
        self.commit()

    def select(self, *variants: str) -> None:
        (self.folder / "params.yaml").write_text(params_text(["tiny"], variants, [0]))

    def commit(self) -> None:
        git("add", "--all", cwd=self.folder)
        identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        git(*identity, "commit", "--quiet", "--message", "state", cwd=self.folder)

    def repro(self, *options: str) -> set[str]:
        """Run `dvc repro` and return the stages that it ran."""
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "repro", *options],
            cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return set(re.findall(r"Running stage '([^']+)'", done.stdout))

    def digests(self, *folders: str) -> dict[str, str]:
        files = [p for name in folders for p in (self.folder / name).rglob("*") if p.is_file()]
        return {
            str(p.relative_to(self.folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files
        }
