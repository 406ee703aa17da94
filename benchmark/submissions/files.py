"""What `score --out` writes into a folder."""

from pathlib import Path

FILES = SCORES, METRICS_FILE, IMAGES = "scores.csv", "metrics.json", "images.csv"


def is_scored(place: Path) -> bool:
    """Return whether a folder has what `score --out` writes, or a file is a score table."""
    if place.suffix == ".csv":
        return place.is_file()
    return all((place / name).is_file() for name in FILES)
