"""The same picture as every kind of image file that people have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, features


def write_kinds(folder: Path, plain: Image.Image, following: Image.Image) -> list[Path]:
    """One file of each kind that shows `plain`, a picture in RGB, in the order of their names; the
    one that moves goes on to `following`."""
    grey = np.asarray(plain.convert("L"), np.uint16) * 257
    turned = Image.Exif()
    turned[0x0112] = 6
    veil = plain.convert("RGBA")
    veil.putalpha(Image.linear_gradient("L").resize(plain.size))
    plain.save(folder / "plain.jpg")
    plain.save(folder / "progressive.jpg", progressive=True, quality=60)
    plain.convert("L").save(folder / "grey.jpg")
    plain.convert("CMYK").save(folder / "cmyk.jpg")
    plain.save(folder / "turned.jpg", exif=turned)
    plain.save(folder / "plain.png")
    plain.quantize(31).save(folder / "palette.png")
    veil.save(folder / "alpha.png")
    plain.convert("LA").save(folder / "grey_alpha.png")
    plain.convert("1").save(folder / "one_bit.png")
    Image.fromarray(grey).save(folder / "deep.png")
    plain.save(folder / "moving.gif", save_all=True, append_images=[following])
    plain.save(folder / "plain.webp")
    plain.save(folder / "lossless.webp", lossless=True)
    plain.save(folder / "plain.tiff")
    Image.fromarray(grey).save(folder / "deep.tif")
    Image.fromarray(grey.astype(np.float32) / 65535).save(folder / "real.tif")
    plain.convert("CMYK").save(folder / "cmyk.tif")
    plain.save(folder / "plain.bmp")
    plain.save(folder / "plain.ppm")
    plain.convert("L").save(folder / "grey.pgm")
    if features.check("jpg_2000"):
        plain.save(folder / "plain.jp2")
    if features.check("avif"):
        plain.save(folder / "plain.avif")
    return sorted(folder.iterdir())
