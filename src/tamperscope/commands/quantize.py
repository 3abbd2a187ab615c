"""`tamperscope quantize`."""

from __future__ import annotations

from pathlib import Path

import click

from tamperscope.commands.options import FOLDER
from tamperscope.commands.output import complain

_MOST_PHOTOS = 100


@click.command()
@click.argument("bundle", type=FOLDER)
@click.option("--photos", required=True, type=FOLDER, help="Authentic photos, including sub-folders.")
def quantize(bundle: Path, photos: Path) -> None:
    """Add 8-bit integer graphs to BUNDLE, which make its analyses faster.

    The integer ranges are measured on photos; a hundred typical ones are enough. The weights do not change.
    Scores change slightly, so recalibrate the bundle afterwards. Needs the extra `train`:
    pip install 'tamperscope[train]'.

    \b
    Example:
      tamperscope quantize model-mine --photos photos/
    """
    from rich.console import Console
    from rich.progress import track

    from tamperscope.bundle import Bundle, write_manifest
    from tamperscope.errors import ImageError, MissingExtraError
    from tamperscope.images import ImageLimits, read_image
    from tamperscope.inference.tiling import STEP

    try:
        from tamperscope.network.quantisation import normalised_tile, quantise
    except ImportError:
        raise MissingExtraError(
            "Quantising needs additional packages; install them with: pip install 'tamperscope[train]'."
        ) from None

    loaded = Bundle.load(bundle)
    tiles = []
    for path in sorted(path for path in photos.rglob("*") if path.is_file()):
        try:
            image = read_image(path, ImageLimits(min_side=STEP))
        except (ImageError, OSError):
            continue
        tiles.append(normalised_tile(image.pixels, loaded.preprocessing))
        if len(tiles) == _MOST_PHOTOS:
            break
    if not tiles:
        raise click.BadParameter(f"{photos} contains no photo.", param_hint="--photos")
    stderr = Console(stderr=True)
    networks = [
        quantise(
            bundle,
            network,
            track(tiles, f"Measuring {network.name}", console=stderr, disable=not stderr.is_terminal),
        )
        for network in loaded.networks
    ]
    write_manifest(
        bundle,
        name=loaded.name,
        version=loaded.version,
        networks=networks,
        preprocessing=loaded.preprocessing,
        threshold=loaded.threshold,
        smallest_region=loaded.smallest_region,
        calibration=loaded.calibration,
    )
    complain(f"{bundle} now computes in 8-bit integers, with ranges measured on {len(tiles)} photos.")
