"""What 0.1.0 wrote is read with the names of today."""

from benchmark.versions.earlier_names import renamed


def test_keys_and_words_are_renamed_wherever_they_stand() -> None:
    old = {
        "generator": {"optimiser": {"lr": 1e-4}, "initialisation": "dcgan"},
        "mask": {"kind": "centre", "size": 8},
        "terms": [{"normalise": "none"}, 3, None],
    }
    assert renamed(old) == {
        "generator": {"optimizer": {"lr": 1e-4}, "initialization": "dcgan"},
        "mask": {"kind": "center", "size": 8},
        "terms": [{"normalize": "none"}, 3, None],
    }


def test_words_inside_a_text_stay() -> None:
    assert renamed({"title": "a centre hole"}) == {"title": "a centre hole"}
