"""Which files belong together: by name, by a declared pattern, single files."""

import re
from pathlib import Path

import pytest

from benchmark.inference.pairing import Pairing, pair_files
from data.errors import InputError


def _files(root: Path, **folders: list[str]) -> dict[str, Path]:
    """Make files and return their folders."""
    for folder, names in folders.items():
        for name in names:
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return {folder: root / folder for folder in folders}


def _sets(pairing: Pairing, root: Path) -> dict[str, list[str]]:
    return {
        name: [path.relative_to(root).as_posix() for path in files.values()]
        for name, files in pairing.sets.items()
    }


def test_a_mask_may_be_named_by_a_pattern(tmp_path: Path) -> None:
    places = _files(
        tmp_path, images=["a.jpg", "deep/b.png"], masks=["a_mask001.png", "deep/b_mask001.png"]
    )
    found = pair_files(places, {"masks": "{stem}_mask001.png"})
    assert _sets(found, tmp_path) == {
        "a": ["images/a.jpg", "masks/a_mask001.png"],
        "deep/b": ["images/deep/b.png", "masks/deep/b_mask001.png"],
    }
    assert not found.missing and not found.extra and not found.samples


def test_several_masks_of_an_image_are_told_apart(tmp_path: Path) -> None:
    names = [f"{stem}_mask{k}.png" for stem in ("a", "a_b") for k in ("000", "001")]
    places = _files(tmp_path, images=["a.png", "a_b.png"], completed=names, masks=names)
    pattern = "{stem}_mask{mask}"
    found = pair_files(places, {"masks": pattern, "completed": pattern})
    assert _sets(found, tmp_path) == {
        Path(name).stem: [
            f"images/{name.split('_mask')[0]}.png",
            f"completed/{name}",
            f"masks/{name}",
        ]
        for name in names
    }


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{stem}_{mask}", {"cat": ["cat_nose", "cat_left_eye"], "cat_ear": ["cat_ear_tip"]}),
        ("{mask}_{stem}", {"cat": ["nose_cat", "left_eye_cat"], "ear_cat": ["tip_of_ear_cat"]}),
        ("m_{stem}_{mask}", {"cat": ["m_cat_n_x"], "cat_m": ["m_cat_m_x", "m_cat_m_a_b"]}),
        ("{mask}_{stem}_{sample}", {"cat": ["a_b_cat_c_d"], "x_cat_c": ["a_x_cat_c_d"]}),
    ],
)
def test_a_name_is_read_as_that_of_the_longest_image_that_is_there(
    pattern: str, names: dict[str, list[str]], tmp_path: Path
) -> None:
    places = _files(
        tmp_path,
        images=[f"deep/{image}.png" for image in names],
        masks=[f"deep/{name}.png" for of_image in names.values() for name in of_image],
    )
    found = pair_files(places, {"masks": pattern})
    assert not found.extra and not found.missing
    assert _sets(found, tmp_path) == {
        f"deep/{name}": [f"images/deep/{image}.png", f"masks/deep/{name}.png"]
        for image, of_image in names.items()
        for name in of_image
    }


def test_masks_of_each_completion_are_told_apart(tmp_path: Path) -> None:
    masks = [f"a_{mask}_{sample}.png" for mask in "01" for sample in "01"]
    completed = ["a_0.png", "a_1.png"]
    places = _files(tmp_path, images=["a.png"], completed=completed, masks=masks)
    patterns = {"completed": "{stem}_{mask}", "masks": "{stem}_{mask}_{sample}"}
    assert {*pair_files(places, patterns).sets} == {Path(name).stem for name in masks}


def test_several_completions_of_an_image_are_its_samples(tmp_path: Path) -> None:
    completed = [f"{stem}_s{k}.png" for stem in "ab" for k in range(3)]
    places = _files(
        tmp_path, images=["a.png", "b.png"], completed=completed, masks=["a.png", "b.png"]
    )
    found = pair_files(places, {"completed": "{stem}_s{sample}"})
    assert {*found.sets} == {Path(name).stem for name in completed}
    assert found.samples == {name: name[-1] for name in found.sets}
    assert _sets(found, tmp_path)["b_s2"] == ["images/b.png", "completed/b_s2.png", "masks/b.png"]


def test_samples_of_each_of_several_masks(tmp_path: Path) -> None:
    completed = [f"a_m{m}_s{k}.png" for m in "01" for k in "012"]
    places = _files(tmp_path, images=["a.png"], completed=completed, masks=["a_m0.png", "a_m1.png"])
    patterns = {"masks": "{stem}_m{mask}", "completed": "{stem}_m{mask}_s{sample}"}
    found = _sets(pair_files(places, patterns), tmp_path)
    assert len(found) == 6
    assert found["a_m1_s2"] == ["images/a.png", "completed/a_m1_s2.png", "masks/a_m1.png"]


def test_one_file_is_for_all_images(tmp_path: Path) -> None:
    places = _files(tmp_path, images=["a.png", "b.png"], one=["hole.png"])
    found = pair_files({"images": places["images"], "masks": places["one"] / "hole.png"})
    assert _sets(found, tmp_path) == {
        name: [f"images/{name}.png", "one/hole.png"] for name in ("a", "b")
    }


def test_one_file_is_for_all_images_whatever_the_pattern_of_several(tmp_path: Path) -> None:
    places = _files(tmp_path, images=["a.png", "b.png"], one=["m.png"])
    one = {"images": places["images"], "masks": places["one"] / "m.png"}
    found = pair_files(one, {"masks": "{stem}_{mask}"})
    assert _sets(found, tmp_path) == {
        name: [f"images/{name}.png", "one/m.png"] for name in ("a", "b")
    }


def test_completions_by_mask_need_a_folder_of_masks(tmp_path: Path) -> None:
    places = _files(tmp_path, images=["a.png"], completed=["a_0.png", "a_1.png"], masks=["m.png"])
    places["masks"] /= "m.png"
    pattern = "{stem}_{mask}"
    with pytest.raises(InputError, match=r"need \{mask\} both, and folders"):
        pair_files(places, {"completed": pattern, "masks": pattern})


def test_three_single_files_belong_together(tmp_path: Path) -> None:
    _files(tmp_path, x=["truth.png", "filled.jpg", "hole.bmp"])
    names = {"images": "truth.png", "completed": "filled.jpg", "masks": "hole.bmp"}
    found = pair_files({kind: tmp_path / "x" / name for kind, name in names.items()})
    assert _sets(found, tmp_path) == {"truth": [f"x/{name}" for name in names.values()]}


@pytest.mark.parametrize(
    ("completed", "masks", "missing"),
    [
        (["a_m0"], ["a_m0", "a_m1"], "masks/a_m1.png"),
        (["a_m0", "a_m1"], ["a_m0"], "completed/a_m1.png"),
        (["a_m0"], ["a_m1"], "completed/a_m0.png"),
    ],
)
def test_a_mask_or_completion_without_its_partner_is_missing(
    completed: list[str], masks: list[str], missing: str, tmp_path: Path
) -> None:
    places = _files(
        tmp_path,
        images=["a.png"],
        completed=[f"{name}.png" for name in completed],
        masks=[f"{name}.png" for name in masks],
    )
    patterns = {"masks": "{stem}_m{mask}", "completed": "{stem}_m{mask}"}
    found = pair_files(places, patterns)
    assert any(said.startswith(str(tmp_path / missing)) for _, said in found.missing)
    with pytest.raises(InputError, match=re.escape(missing)):
        found.require_whole()


def test_what_fits_no_pattern_belongs_to_no_image(tmp_path: Path) -> None:
    places = _files(tmp_path, images=["a.png"], masks=["a_mask.png", "a.png", "b_mask.png"])
    found = pair_files(places, {"masks": "{stem}_mask"})
    assert found.extra == ["a.png", "b_mask.png"] and {*found.sets} == {"a"}


@pytest.mark.parametrize(
    "pattern",
    ["mask.png", "{name}_mask", "{stem}{stem}", "{stem}_{k}", "{stem}_{mask}{mask}", "{}"],
)
def test_a_pattern_that_cannot_be_used_is_named(pattern: str, tmp_path: Path) -> None:
    places = _files(tmp_path, images=["a.png"], masks=["a.png"])
    with pytest.raises(InputError, match=r"needs \{stem\} once, and may have \{mask\} and"):
        pair_files(places, {"masks": pattern})


def test_a_completion_belongs_to_one_mask(tmp_path: Path) -> None:
    places = _files(tmp_path, images=["a.png"], completed=["a.png"], masks=["a_0.png", "a_1.png"])
    with pytest.raises(InputError, match=r"need \{mask\} both"):
        pair_files(places, {"masks": "{stem}_{mask}"})


@pytest.mark.parametrize("name", ["a.b", "a[1]", "a*", "(a)", "a+", "é", "a{stem}"])
def test_names_are_no_expressions(name: str, tmp_path: Path) -> None:
    places = _files(
        tmp_path, images=[f"{name}.png", "other.png"], masks=[f"{name}_m.png", "other_m.png"]
    )
    assert {*pair_files(places, {"masks": "{stem}_m"}).sets} == {name, "other"}
