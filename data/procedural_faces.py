"""An index -> a cartoon face, at any size and with the same bytes on every platform.

A face is a list of layers (`data.ellipses`) painted back to front: neck and shirt in the upright
frame, all else in the tilted frame of the head. The light falls from one side. All arithmetic is on
integers, every choice a draw of the index.

Anatomy is in thousandths of the head's half-height: u to the right, v down, (0, 0) between the
eyes. Read `portrait_layers` first.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data.draws import integers_below, random_bits
from data.ellipses import (
    FINE,
    IMAGE,
    SAMPLES,
    TURN,
    Blob,
    Color,
    Frame,
    Integers,
    Layer,
    along,
    average,
    blend,
    paint,
    vivid,
)

SMALLEST_SIZE = 16


def colors(codes: str) -> Integers:
    """Turn hexadecimal codes into RGB, `[codes, 3]`."""
    return np.array([list(bytes.fromhex(code)) for code in codes.split()], dtype=np.int64)


SKINS = colors("fae0cd f0c8aa e0ac80 c0845a 8a5838 603e2c")
HAIRS = colors("1a1618 3e281c 6e4426 9e4a20 deb262 b0acaa")
IRISES = colors("4682be 5a8c5a 82602c 482c1a")
BLACK, WHITE, RED, BROWN, THROAT = colors("120e12 fafaf6 be323c 5a1414 5c1820")


@dataclass(frozen=True)
class Draws:
    """The draws of one image."""

    index: int
    seed: int

    def integers(self, part: str, *ranges: tuple[int, int]) -> list[int]:
        """Draw up to four integers for a part, each from a range with both ends included."""
        bits = random_bits(["portrait", self.seed, part], 1, first=self.index)[0]
        return [
            low + integers_below(bits[i : i + 1], high - low + 1).item()
            for i, (low, high) in enumerate(ranges)
        ]


@dataclass(frozen=True)
class Hairstyle:
    """Hair behind the head and in front of it."""

    volume: int  # how far the hair behind reaches beyond the head
    ends: int  # v at which the hair behind ends
    hairline: int | None  # v of the forehead's upper edge; None leaves the top of the head bare
    temples: int = 0  # how far the front hair comes in from the sides
    parting: int = 0  # slope of the hairline
    bend: int = 0  # of the hairline
    beard: bool = False  # may go with a beard


HAIRSTYLES = (
    Hairstyle(0, -900, None, beard=True),  # bald
    Hairstyle(75, 120, None, beard=True),  # horseshoe
    Hairstyle(50, -50, -640, 20, beard=True),  # cropped
    Hairstyle(110, 60, -540, 40, parting=190, beard=True),
    Hairstyle(110, 60, -540, 40, parting=-190, beard=True),
    Hairstyle(120, 250, -330, 40, bend=-60),  # fringe
    Hairstyle(330, 520, -520, 60, bend=40),  # bob
    Hairstyle(150, 1250, -480, 110, bend=60),  # to the neck
    Hairstyle(170, 1700, -560, 120, bend=120),  # long
    Hairstyle(170, 1700, -330, 100, bend=-40),  # long, with a fringe
)


def portrait_colors(draws: Draws) -> dict[str, Color]:
    """Return the color of each kind of layer."""
    skin = along(SKINS, *draws.integers("skin", (0, 999)))
    hair = along(HAIRS, *draws.integers("hair colour", (0, 999)))
    shirt = vivid(*draws.integers("shirt colour", (0, 1535), (60, 230), (90, 240)))
    lips = blend(skin, RED, *draws.integers("lip colour", (90, 190)))
    return {
        "hair": hair,
        "hair shade": blend(hair, BLACK, 90),
        "skin": skin,
        "skin shade": blend(skin, BROWN, 75),
        "cheek": blend(skin, RED, *draws.integers("cheek colour", (10, 60))),
        "brow": blend(hair, BLACK, 100),
        "lips": blend(lips, BLACK, 40),
        "mouth": THROAT,
        "white": WHITE,
        "lash": blend(skin, BLACK, 200),
        "iris": along(IRISES, *draws.integers("iris colour", (0, 999))),
        "black": BLACK,
        "shirt": shirt,
        "collar": blend(shirt, WHITE if shirt.sum() < 380 else BLACK, 110),
        "glasses": vivid(*draws.integers("glasses colour", (0, 1535), (0, 160), (20, 110))),
    }


def body_layers(neck: int) -> list[Layer]:
    """Return neck and shirt, in the upright frame."""
    return [
        Layer("skin shade", Blob(0, 900, neck, 800)),
        Layer("shirt", Blob(0, 2650, 1550, 1400)),
        Layer("shirt", Blob(0, 2000, 900, 720)),
        Layer("collar", Blob(0, 1270, neck + 130, 240), within=Blob(0, 2000, 900, 720)),
        Layer("skin shade", Blob(0, 1200, neck, 250)),
    ]


def head_layers(width: int, jaw: int) -> list[Layer]:
    """Return ears and head."""
    layers = []
    for side in (-1, 1):
        layers.append(Layer("skin", Blob(side * width, 80, 110, 200)))
        layers.append(Layer("skin shade", Blob(side * (width + 20), 80, 50, 120)))
    layers.append(Layer("skin", Blob(0, -120, width, 880)))
    layers.append(Layer("skin", Blob(0, 280, jaw, 720)))
    return layers


def nose_layers(draws: Draws, lit: int) -> list[Layer]:
    """Return the nose; `lit` is the side, -1 or 1, that the light comes from."""
    width, length = draws.integers("nose", (90, 150), (290, 370))
    return [
        Layer("skin shade", Blob(-lit * 45, length - 160, width * 3 // 4, 200)),
        Layer("skin", Blob(lit * 25, length - 190, width * 3 // 4, 210)),
        Layer("skin shade", Blob(0, length, width, 75)),
        Layer("skin", Blob(lit * 20, length - 30, width - 15, 75)),
    ]


def eyes_layers(draws: Draws, apart: int, lit: int) -> list[Layer]:
    """Return cheeks, eyes and brows."""
    width, height, iris = draws.integers("eyes", (150, 185), (85, 135), (75, 95))
    gaze_u, gaze_v = draws.integers("gaze", (-70, 70), (-30, 30))
    raised, thick, arch, mood = draws.integers("brows", (170, 260), (32, 62), (0, 70), (-45, 45))
    layers = []
    for u, side in ((-apart, -1), (apart, 1)):
        eye = Blob(u, 0, width, height)
        looks_at = (u + gaze_u, gaze_v)
        layers += [
            Layer("cheek", Blob(u + side * 40, 360, 170, 120)),
            Layer("lash", Blob(u, -28, width + 25, height + 22)),
            Layer("white", eye),
            Layer("iris", Blob(*looks_at, iris, iris), within=eye),
            Layer("black", Blob(*looks_at, iris // 2, iris // 2), within=eye),
            Layer("white", Blob(looks_at[0] + lit * 35, gaze_v - 35, 24, 24), within=eye),
            Layer("brow", Blob(u, -height - raised, width + 50, thick, side * mood, arch)),
        ]
    return layers


def mouth_layers(draws: Draws) -> list[Layer]:
    """Return a closed mouth, or an open one with teeth; its ends are raised by a smile."""
    width, smile, thick, kind = draws.integers("mouth", (220, 330), (-10, 150), (48, 75), (0, 2))
    lips = Blob(0, 600 + smile // 3, width, thick, bend=-smile)
    if kind < 2:
        line = Blob(0, lips.v - 5, width - 20, 16, bend=-smile)
        return [Layer("lips", lips), Layer("mouth", line)]
    gap = Blob(0, lips.v + 15, width - 30, thick + 20, bend=-smile)
    teeth = Blob(0, lips.v - 35, width - 50, 48, bend=-smile)
    outline = Blob(0, lips.v + 15, width, thick + 55, bend=-smile)
    return [Layer("lips", outline), Layer("mouth", gap), Layer("white", teeth, within=gap)]


def glasses_layers(apart: int, width: int) -> list[Layer]:
    """Return two rims, the bridge and the arms."""
    layers = [Layer("glasses", Blob(0, -30, 80, 26))]
    for side in (-1, 1):
        rim = Blob(side * apart, 20, apart - 55, 265)
        lens = Blob(rim.u, rim.v, rim.half_width - 42, rim.half_height - 42)
        inner = apart + rim.half_width - 20
        arm = Blob(side * ((inner + width) // 2), -20, (width - inner) // 2 + 20, 30)
        layers += [Layer("glasses", rim, without=lens), Layer("glasses", arm)]
    return layers


def beard_layers(draws: Draws, width: int, jaw: int) -> list[Layer]:
    """Return nothing, a beard, a moustache, or both."""
    (kind,) = draws.integers("beard", (0, 5))
    beard = Layer("hair", Blob(0, 280, jaw + 20, 745), without=Blob(0, -70, width + 60, 530))
    moustache = Layer("hair", Blob(0, 480, 270, 70, bend=70))
    return [beard] * (kind in (3, 5)) + [moustache] * (kind in (4, 5))


def hair_layers(style: Hairstyle, width: int) -> tuple[list[Layer], list[Layer]]:
    """Return the hair behind the head and the hair in front of it."""
    if style.hairline is None:
        return [Layer("hair", Blob(0, -140, width + style.volume, 330))], []
    outline = Blob(0, -120, width + style.volume, 880 + style.volume)
    above_ends = Blob(0, style.ends - 4000, 8000, 4000)
    behind = [Layer("hair shade", outline, within=above_ends)]
    if style.ends > 760:
        middle, reach = (style.ends - 700) // 2, (style.ends + 700) // 2
        behind.append(Layer("hair shade", Blob(0, middle, width + style.volume, reach)))
    height = max(720, style.ends * 3 // 5)
    face = Blob(
        0, style.hairline + height, width - style.temples, height, style.parting, style.bend
    )
    return behind, [Layer("hair", outline, within=above_ends, without=face)]


def portrait_layers(draws: Draws, lit: int) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """Return the layers of the hair behind, the body and the head, in the order of painting."""
    width, jaw, apart, neck = draws.integers("head", (700, 790), (540, 650), (315, 360), (300, 400))
    choice, glasses = draws.integers("style", (0, len(HAIRSTYLES) - 1), (0, 3))
    style = HAIRSTYLES[choice]
    behind, front = hair_layers(style, width)
    head = head_layers(width, jaw)
    if style.beard:
        head += beard_layers(draws, width, jaw)
    head += mouth_layers(draws) + nose_layers(draws, lit) + eyes_layers(draws, apart, lit) + front
    if glasses == 0:
        head += glasses_layers(apart, width)
    return behind, body_layers(neck), head


def background(draws: Draws, size: int) -> Integers:
    """Return a gradient between two colors in any direction, `[size, size, 3]` in 0..255."""
    first = vivid(*draws.integers("background start", (0, 1535), (10, 150), (90, 256)))
    second = vivid(*draws.integers("background end", (0, 1535), (10, 150), (90, 256)))
    x, y = draws.integers("background direction", (-99, 99), (-99, 99))
    steps = 2 * np.arange(size, dtype=np.int64) + 1 - size
    along_direction = x * steps[None, :] + y * steps[:, None]
    span = 2 * size * max(abs(x) + abs(y), 1)
    weights = TURN // 2 + TURN * along_direction // span
    return np.asarray(first + weights[:, :, None] * (second - first) // TURN)


def render_portrait(index: int, size: int, seed: int) -> NDArray[np.uint8]:
    """Render a face.

    Args:
        index: which face; its every choice is a draw of this index.
        size: height and width in pixels; the same index is the same face at every size.
        seed: of the family of faces.

    Returns:
        `[size, size, 3]` RGB.

    Raises:
        ValueError: the index is negative or the size below 16.
    """
    if index < 0:
        raise ValueError(f"index {index} is negative")
    if size < SMALLEST_SIZE:
        raise ValueError(f"size {size} is below {SMALLEST_SIZE} px")
    draws = Draws(index, seed)
    scale, x, y, tilt = draws.integers("pose", (270, 340), (440, 560), (410, 480), (-500, 500))
    upright = Frame(x * IMAGE // 1000, y * IMAGE // 1000, scale * IMAGE // 1000)
    tilted = replace(upright, sine=tilt)
    side, strength, above = draws.integers("light", (0, 1), (40, 100), (0, 40))
    lit = 2 * side - 1
    palette = portrait_colors(draws)
    numbers = {color: number for number, color in enumerate(palette, start=1)}
    samples = SAMPLES * size
    grids = {frame: frame.coordinates(samples) for frame in (upright, tilted)}
    painted = np.zeros((samples, samples), dtype=np.uint8)
    behind, body, head = portrait_layers(draws, lit)
    for frame, layers in ((tilted, behind), (upright, body), (tilted, head)):
        for layer in layers:
            paint(painted, frame, grids[frame], layer, numbers[layer.color])
    u, v = grids[tilted]
    light = np.clip(250 + (lit * strength * u - above * v) // (1000 * FINE), 120, 350)
    return average(painted, light.astype(np.int32), list(palette.values()), background(draws, size))
