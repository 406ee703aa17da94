"""LPIPS v0.1 (Zhang et al. 2018) on backbone weights that are verified, never fetched unasked.

The linear layers come with the `lpips` package. The backbones are torchvision's, read from the
cache of `torch.hub`; their file names end in the first digits of their SHA-256.
"""

import hashlib
import importlib.util
import pickle
import warnings
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.metrics.pixels import check_images, mean_over
from benchmark.metrics.regions import dilate
from data.errors import InputError

BACKBONES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
WEIGHTS_URL = "https://download.pytorch.org/models/"
FETCH_COMMAND = "python -m benchmark weights"
# The hole is dilated as for ssim_h, so that both read the same pixels around it.
DILATION_PX = 5


class MetricUnavailable(Exception):
    """A metric cannot be computed here; the message says why and what would mend it."""


def weights_path(net: str) -> Path:
    """Return where the weights of a backbone belong, whether or not they are there."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[net]


def find_lpips_weights(net: str) -> Path | None:
    """Return the cached weights of a backbone, or None; their content is not looked at."""
    path = weights_path(net)
    return path if path.is_file() else None


def lpips_missing(net: str) -> str | None:
    """Return why LPIPS with this backbone cannot be computed, or None if it can."""
    if importlib.util.find_spec("lpips") is None:
        return "the package lpips is not installed"
    if find_lpips_weights(net) is None:
        return f"{BACKBONES[net]} is not in the cache; `{FETCH_COMMAND}` fetches it"
    return None


def fetch_weights() -> list[Path]:
    """Fetch and verify the weights of all backbones, about 780 MB, showing the progress.

    Returns:
        The files, those that were there already included.

    Raises:
        InputError: a file cannot be fetched, or does not match its name.
    """
    for name in BACKBONES.values():
        url = WEIGHTS_URL + name
        try:
            torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, weights_only=True
            )
        except (URLError, OSError, RuntimeError) as error:
            raise InputError(f"{url} cannot be fetched: {error}") from error
    paths = [weights_path(net) for net in BACKBONES]
    for path in paths:
        _verify(path)
    return paths


def _verify(path: Path) -> None:
    expected = path.stem.rsplit("-", 1)[-1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise InputError(
            f"{path}: SHA-256 {digest[:16]}… does not begin with {expected}; "
            f"delete the file, then `{FETCH_COMMAND}`"
        )


class Lpips:
    """LPIPS with one backbone on one device.

    Args:
        net: `alex`, `vgg` or `squeeze`.
        device: where the images are.

    Raises:
        MetricUnavailable: see `lpips_missing`.
        InputError: the cached weights are not those that the file name promises.
    """

    def __init__(self, net: str, device: torch.device) -> None:
        reason = lpips_missing(net)
        if reason is not None:
            raise MetricUnavailable(reason)
        path = weights_path(net)
        _verify(path)
        self._network: Any = _load_network(net, path).to(device)

    def distance(self, completed: Tensor, target: Tensor) -> Tensor:
        """Return each image's distance, `[N]` float64, for `[N, 3, H, W]` uint8 images."""
        layers = self._layer_maps(completed, target)
        return torch.stack([layer.mean((1, 2, 3)) for layer in layers]).sum(0).double()

    def spatial_map(self, completed: Tensor, target: Tensor) -> Tensor:
        """Return each pixel's distance, `[N, 1, H, W]` float32, for `[N, 3, H, W]` uint8 images."""
        size = list(target.shape[2:])
        layers = self._layer_maps(completed, target)
        resized = [functional.interpolate(layer, size, mode="bilinear") for layer in layers]
        return torch.stack(resized).sum(0)

    def _layer_maps(self, completed: Tensor, target: Tensor) -> list[Tensor]:
        network = self._network
        # TF32 would move the values by 1e-3; choosing algorithms by timing would not repeat.
        exact = torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled, deterministic=True, allow_tf32=False
        )
        with torch.no_grad(), exact:
            ours, truth = (
                network.net(network.scaling_layer(image.float() / 127.5 - 1))
                for image in (completed, target)
            )
            linears = network.lins  # codespell:ignore lins
            return [
                linear((_unit_length(a) - _unit_length(b)) ** 2)
                for linear, a, b in zip(linears, ours, truth, strict=True)
            ]


def _unit_length(features: Tensor) -> Tensor:
    return features / ((features**2).sum(1, keepdim=True).sqrt() + 1e-10)


def _load_network(net: str, path: Path) -> Any:
    """Build the package's network from files alone: nothing drawn, fetched or unpickled."""
    import lpips

    # On the meta device nothing is drawn, so the caller's random state stays as it is.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the package uses torchvision's old keyword
        network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    linear_path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    try:
        backbone = torch.load(path, map_location="cpu", weights_only=True)
        # The package's `slice2.3.weight` is torchvision's `features.3.weight`.
        features = {
            key: backbone["features." + key.split(".", 1)[1]] for key in network.net.state_dict()
        }
    except (pickle.UnpicklingError, KeyError) as error:
        raise InputError(f"{path}: not the weights of a torchvision model: {error}") from error
    network.net.load_state_dict(features, assign=True)
    linear = torch.load(linear_path, map_location="cpu", weights_only=True)
    for index, layer in enumerate(network.lins):  # codespell:ignore lins
        layer.load_state_dict({"model.1.weight": linear[f"lin{index}.model.1.weight"]}, assign=True)
    return network.eval().requires_grad_(False)


@cache
def _cached_lpips(net: str, device: torch.device) -> Lpips:
    return Lpips(net, device)


def lpips_w(completed: Tensor, target: Tensor, mask: Tensor, net: str) -> Tensor:
    """Return each image's LPIPS over the whole image, without resizing.

    Args:
        completed: `[N, 3, H, W]` uint8.
        target: of the same shape and type.
        mask: `[N, 1, H, W]` bool, True in the hole; only checked.
        net: `alex`, `vgg` or `squeeze`.

    Returns:
        `[N]` float64.

    Raises:
        ValueError: see `check_images`.
        MetricUnavailable, InputError: see `Lpips`.
    """
    check_images(completed, target, mask)
    return _cached_lpips(net, completed.device).distance(completed, target)


def lpips_h(completed: Tensor, target: Tensor, mask: Tensor, net: str) -> Tensor:
    """Return each image's mean of the spatial LPIPS map over the hole dilated by 5 pixels.

    Arguments, result and errors are those of `lpips_w`.
    """
    check_images(completed, target, mask)
    spatial = _cached_lpips(net, completed.device).spatial_map(completed, target)
    return mean_over(spatial, dilate(mask, DILATION_PX))
