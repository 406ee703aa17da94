"""The test images of a suite as files: what is replaced, and what is left alone."""

from pathlib import Path

import pytest

from benchmark.__main__ import main
from benchmark.pipeline.split import split_suite
from tests.support.tiny import files_below, isolate, tiny_suite

EXPORT = ["export", "--suite", "tiny", "--out", "set"]


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a checkout with a suite that is split the present folder."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.setattr("benchmark.core.config.load_suite", lambda *_: tiny_suite())
    split_suite(tiny_suite())


@pytest.mark.promise("writing")
def test_only_images_and_masks_are_replaced() -> None:
    others = {"completed/a.png": b"work of a night", "notes.txt": b"mine", "masks.txt": b"mine"}
    for name, content in others.items():
        path = Path("set") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert main(EXPORT) == 0
    exported = files_below(Path("set"))
    assert others.items() < exported.items()
    assert {Path(name).parts[0] for name in exported.keys() - others.keys()} == {"images", "masks"}
    Path("set/images/of_another_suite.png").write_bytes(b"old")
    next(Path("set/masks").iterdir()).unlink()
    assert main([*EXPORT, "--overwrite"]) == 0
    assert files_below(Path("set")) == exported


@pytest.mark.promise("writing")
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_what_is_there_is_replaced_only_on_demand(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("set", kind).mkdir(parents=True)
    Path("set", kind, "mine.png").write_bytes(b"mine")
    assert main(EXPORT) == 2
    said = f"error: already there: set/{kind}; --overwrite replaces what is there\n"
    assert capsys.readouterr().err == said
    assert files_below(Path("set")) == {f"{kind}/mine.png": b"mine"}


@pytest.mark.promise("writing")
@pytest.mark.parametrize("place", ["set", "set/images", "set/masks"])
def test_a_file_in_the_place_of_a_folder_stays(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_bytes(b"mine")
    assert main([*EXPORT, "--overwrite"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: set/") and "cannot be written" in message
    assert files_below(Path()).items() >= {place: b"mine"}.items()
    assert not [*Path().glob("set/*/*.png")]
