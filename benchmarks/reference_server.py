"""`/segment` written the obvious way, as a baseline: Flask, PyTorch eager, Pillow, default PNG.

    python benchmarks/reference_server.py PORT BUNDLE

It uses the same weights and the same pixel budget as tamperscope. It has no tiles: the whole image is one
input. It computes one image at a time, because sixteen large ones would not fit into memory, and each of them
uses every core anyway.
"""

from __future__ import annotations

import sys
import threading
import time
from base64 import b64encode
from io import BytesIO

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from flask import Flask, Response, jsonify, request
from numpy.typing import NDArray

from tamperscope.bundle import Bundle
from tamperscope.method import DetectorOptions
from tamperscope.network.architectures import probabilities
from tamperscope.network.export import read_network

MULTIPLE = 16


def create_app(bundle: Bundle) -> Flask:
    app = Flask("reference")
    network = next(network for network in bundle.networks if "mask" in network.outputs)
    model = probabilities(read_network(bundle, network.name), network.outputs).eval()
    place = network.outputs.index("mask")
    mean, std = (
        np.array(values, np.float32) for values in (bundle.preprocessing.mean, bundle.preprocessing.std)
    )

    computing = threading.Lock()

    @app.get("/ready")
    def ready() -> Response:
        return jsonify(status="ready")

    @app.post("/segment")
    def segment() -> Response:
        begun = time.perf_counter()
        picture = PIL.ImageOps.exif_transpose(PIL.Image.open(request.files["image"].stream)).convert("RGB")
        decoded = time.perf_counter()
        seen = within_budget(picture)
        pixels = (np.asarray(seen, np.float32) / 255 - mean) / std
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        missing = [-side % MULTIPLE for side in tensor.shape[2:]]
        tensor = torch.nn.functional.pad(tensor, (0, missing[1], 0, missing[0]), mode="reflect")
        with computing, torch.inference_mode():
            admitted = time.perf_counter()
            heatmap = model(tensor)[place][0, 0, : seen.height, : seen.width].numpy()
        heatmap = np.asarray(PIL.Image.fromarray(heatmap).resize(picture.size, PIL.Image.Resampling.BILINEAR))
        mask = heatmap >= bundle.threshold
        inferred = time.perf_counter()
        original = np.asarray(picture)
        green = np.where(mask[..., None], original // 2 + np.array([0, 128, 0], np.uint8), original)
        answer = jsonify(
            mask=png(mask.astype(np.uint8) * 255),
            overlay=png(green.astype(np.uint8)),
            masked_image=png(original * mask[..., None]),
        )
        stages = {
            "decode": decoded - begun,
            "inference": inferred - admitted,
            "encode": time.perf_counter() - inferred,
        }
        answer.headers["Server-Timing"] = ", ".join(
            f"{name};dur={1000 * s:.1f}" for name, s in stages.items()
        )
        return answer

    return app


def within_budget(picture: PIL.Image.Image) -> PIL.Image.Image:
    scale = min(1.0, (DetectorOptions.pixel_budget / (picture.width * picture.height)) ** 0.5)
    return (
        picture if scale == 1 else picture.resize((int(picture.width * scale), int(picture.height * scale)))
    )


def png(pixels: NDArray[np.uint8]) -> str:
    file = BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return b64encode(file.getvalue()).decode("ascii")


if __name__ == "__main__":
    create_app(Bundle.load(sys.argv[2])).run("127.0.0.1", int(sys.argv[1]), threaded=True)
