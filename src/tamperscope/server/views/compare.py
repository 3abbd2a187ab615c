"""`/v1/compare`: two versions of a picture, laid over each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flask import Blueprint, Response, request
from numpy.typing import NDArray

from tamperscope.api import CompareAnswer, DifferenceAnswer, SizeAnswer
from tamperscope.documents import wording
from tamperscope.images import versions
from tamperscope.report import Box
from tamperscope.server.detector_service import DetectorService
from tamperscope.server.forms import CompareForm, client_disconnected, respond, uploaded_image
from tamperscope.server.openapi import operation


def blueprint(service: DetectorService, largest: int) -> Blueprint:
    """Return the endpoint that decodes with `service`; `largest` is the largest body in bytes."""
    views = Blueprint("compare", __name__)

    @views.post("/v1/compare")
    @operation(CompareAnswer, problems=(400, 413, 415, 422, 503), form=CompareForm)
    def create_comparison() -> Response:
        """Lay one picture over another version of it, and say where they differ. Nothing is stored."""
        request.max_content_length = largest
        sizes, pictures = [], []
        files = [uploaded_image(request, field) for field in ("image", "other")]
        with service.slot(client_disconnected(request)) as turn:
            for file in files:
                image = service.read(file, turn)
                sizes.append((image.width, image.height))
                pictures.append(versions.scaled(image.pixels))
                del image
            turn.check()
            found = versions.compare(*pictures)
        if found is None:
            return respond(_answer(None, sizes[1], 0.0, (), ()))
        scales = [size[0] / picture.shape[1] for size, picture in zip(sizes, pictures, strict=True)]
        differences = tuple(
            _difference(number, region, scales[0], sizes[0]) for number, region in enumerate(found.regions, 1)
        )
        places = [wording.located(_box(each.polygon), *sizes[0]) for each in differences]
        return respond(
            _answer(_full_size(found.matrix, *scales), sizes[1], found.shared, differences, places)
        )

    return views


def _answer(
    matrix: NDArray[np.float64] | None,
    other: tuple[int, int],
    shared: float,
    differences: tuple[DifferenceAnswer, ...],
    places: Sequence[str],
) -> CompareAnswer:
    aligned = matrix is not None
    return CompareAnswer(
        aligned=aligned,
        matrix=None if matrix is None else matrix.round(6).tolist(),
        other=SizeAnswer(width=other[0], height=other[1]),
        shared=round(shared, 4),
        differences=differences,
        finding=wording.versions(aligned, places, shared),
    )


def _difference(
    number: int, region: versions.DifferentRegion, scale: float, size: tuple[int, int]
) -> DifferenceAnswer:
    polygon = tuple((round(x * scale), round(y * scale)) for x, y in region.polygon)
    return DifferenceAnswer(
        label=f"D{number}",
        polygon=polygon,
        area_share=round(region.area_share, 6),
        place=wording.place(_box(polygon), *size),
    )


def _box(polygon: Sequence[Sequence[int]]) -> Box:
    left, top = (min(point[axis] for point in polygon) for axis in (0, 1))
    right, bottom = (max(point[axis] for point in polygon) for axis in (0, 1))
    return Box(left, top, right - left + 1, bottom - top + 1)


def _full_size(matrix: NDArray[np.float64], first: float, second: float) -> NDArray[np.float64]:
    """Return the matrix between the pictures' own pixels, given by how much larger they are."""
    full = first * matrix
    full[:, :2] /= second
    return full
