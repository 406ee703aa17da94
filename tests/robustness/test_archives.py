"""Archives that mean harm: none but the official one is opened, and no pickle runs code."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, STL10

from data.errors import InputError
from data.sources import cifar10, source_class, tiny_imagenet
from data.sources.cifar10 import read_pickled_arrays
from tests.support.layouts import lose_network, put_cifar10, put_stl10, put_tiny_imagenet
from tests.support.promises import tally
from tests.support.tiny import files_below

pytestmark = pytest.mark.promise("downloads")
SOURCES: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], Path], str]] = {
    "cifar10": (put_cifar10, cifar10.ARCHIVE),
    "stl10": (put_stl10, STL10.filename),
    "tiny_imagenet": (put_tiny_imagenet, tiny_imagenet.ARCHIVE),
}


@pytest.mark.parametrize("name", SOURCES)
def test_without_a_network_it_says_where_to_put_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lose_network(monkeypatch)
    place = rf"raw/{SOURCES[name][1]}: .*no route.*fetch http.*put it into .*raw/$"
    with pytest.raises(InputError, match=place):
        source_class(name)().items(tmp_path / "raw")


@pytest.mark.promise("no_execution")
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("change", ["a byte more", "a byte less", "another byte", "noise", "empty"])
def test_archive_that_was_changed_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: str
) -> None:
    put, archive = SOURCES[name]
    path = put(tmp_path / "raw", monkeypatch) / archive
    whole = path.read_bytes()
    path.write_bytes(
        {
            "a byte more": whole + b"\0",
            "a byte less": whole[:-1],
            "another byte": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
            "noise": np.random.default_rng(0).bytes(5000),
            "empty": b"",
        }[change]
    )

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the archive was opened")

    monkeypatch.setattr("tarfile.open", opened)
    monkeypatch.setattr(tiny_imagenet, "ZipFile", opened)
    before = files_below(tmp_path)
    with pytest.raises(InputError, match=r"raw/.*: (SHA-256|MD5) is \w+, the official") as caught:
        source_class(name)().items(tmp_path / "raw")
    assert "\n" not in str(caught.value)
    assert files_below(tmp_path) == before
    tally("hostile archives refused")


def test_archive_of_cifar10_is_the_one_that_torchvision_knows() -> None:
    assert (cifar10.URL, cifar10.ARCHIVE) == (CIFAR10.url, CIFAR10.filename)
    assert cifar10.FOLDER == CIFAR10.base_folder
    assert [*cifar10.TRAINING] == [name for name, _ in CIFAR10.train_list]
    assert [*cifar10.TEST] == [name for name, _ in CIFAR10.test_list]


# Pickles, in which CIFAR-10 is handed out


class Mischief:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path, how: str) -> None:
        self.folder, self.how = folder, how

    def __reduce__(self) -> Any:
        if self.how == "eval":
            return eval, (f"__import__('os').mkdir({str(self.folder)!r})",)
        if self.how == "numpy":
            return np.save, (str(self.folder), 1)
        return os.mkdir, (str(self.folder),)


@pytest.mark.promise("no_execution")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("how", ["mkdir", "eval", "numpy"])
def test_pickle_that_executes_is_refused(tmp_path: Path, how: str, protocol: int) -> None:
    trap = tmp_path / "trap"
    # In an array of objects too, which is made of names that are known.
    for value in (Mischief(trap, how), np.array([Mischief(trap, how)])):
        content = pickle.dumps({"data": value, "labels": [1]}, protocol)
        with pytest.raises(pickle.UnpicklingError, match=r"^it asks for \w+(\.\w+)*$"):
            read_pickled_arrays(content)
        assert [*tmp_path.iterdir()] == []
        tally("pickles that execute refused")
    pickle.loads(content)
    assert [*tmp_path.iterdir()], "the usual way would have executed it"


# As Python 2 and NumPy 1 wrote them: bytes are text, and names are those of then.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
    b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87"
    b"Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x7f\x80\xfe\xff"
    b"\ntbU\x06labelsq\x08]q\x09(K\x06K\x09eu."
)


def test_arrays_of_python_2_and_3_are_read() -> None:
    expected = np.array([[0, 127, 128], [254, 255, 10]], np.uint8)
    pickles = [PYTHON_2]
    for array in (expected, np.asfortranarray(expected)):
        content = {"data": array, "labels": [6, 9]}
        pickles += [pickle.dumps(content, protocol) for protocol in (3, 4)]
    for pickled in pickles:
        found = read_pickled_arrays(pickled)
        assert np.array_equal(found["data"], expected) and found["labels"] == [6, 9]
