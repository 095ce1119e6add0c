"""The commands that start from photographs: advise, train, predict, try. What each does stands in
`advising` and `answering`; here is what `--help` says."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from transfer_lab.advice.model.manifest import Format as Known

_UNITS = {"s": 1, "m": 60, "h": 3600}


class Format(StrEnum):
    """How a model is written."""

    safetensors = "safetensors"
    onnx = "onnx"
    checkpoint = "checkpoint"


class Regime(StrEnum):
    """What is done to the pretrained network."""

    last_layer = "last-layer"
    last_blocks = "last-blocks"
    everything = "everything"


def seconds(text: str | float) -> float:
    """'5m', '90s', '1h' or '300'; raises BadParameter for what is none of them."""
    words = str(text).strip().lower()
    unit = _UNITS.get(words[-1:], 1)
    try:
        found = unit * float(words.rstrip("smh"))
    except ValueError:
        found = 0.0
    if not 1 <= found < float("inf"):
        raise typer.BadParameter(f"{text!r} is no time; write it as 90s, 5m or 1h")
    return found


Photos = Annotated[
    Path,
    typer.Argument(
        metavar="PHOTOS",
        help="A folder with one folder of photos for each class (`photos/oak/*.jpg`, "
        "`photos/beech/*.jpg`), or a table labels.csv with the columns file and label.",
    ),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The pretrained network: lite0, lite1, lite2; timm:NAME or torchvision:NAME whose "
        "weights lie on this machine; or any of these as NAME=FILE, with a file of weights.",
        show_default="lite0",
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        metavar="TIME",
        parser=seconds,
        help="How long it may take, as 90s, 5m or 1h. More time, more ways are tried.",
        show_default="by how many photos there are: 90s up to 150, at most 5m",
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="folder|exif-day|REGEX",
        help="Photos that must be tested together: those of a sub-folder (one camera, place or "
        "person each), of a day, or with the same match of a regular expression in their path. "
        "Bursts and near-copies are found without it.",
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Ask nothing: take the usual answer to each question.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of all chance; the same seed, the same result.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where what the network sees in each photo is kept, so that the next call is quick.",
        show_default="the system's folder for caches",
    ),
]
AdviceFolder = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Where the page with the advice is written.")
]
KnownAdvice = Annotated[
    Path,
    typer.Option(
        "--advice", metavar="DIR", help="Advice on the same photos, which is followed if there."
    ),
]
ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The folder that `train` has written.")
]


def advise(
    photos: Photos,
    out: AdviceFolder = Path("advice"),
    backbone: Backbone = None,
    budget: Budget = None,
    group_by: GroupBy = None,
    yes: Yes = False,
    seed: Seed = 0,
    cache: Cache = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print advice.json instead, for other programs.")
    ] = False,
) -> None:
    """Say what to do with your photos: how to train, how many new photos will be named right, what
    that costs, and which photos to look at again.

    Nothing is uploaded or downloaded, and your photos are not changed. How good it will be is
    tested on photos of yours that were kept aside; copies and bursts count once. The page
    advice/index.html shows which photos are taken for which.

    Exit codes: 0 advice, 3 these photos allow none, 2 refused (with what to do), 130 interrupted.
    """
    from transfer_lab.cli import advising

    request = advising.Request(photos, backbone, budget, group_by, seed, cache, yes)
    raise typer.Exit(advising.advise(request, out, as_json=as_json))


def train(
    photos: Photos,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The model's folder.")
    ] = Path("model"),
    regime: Annotated[
        Regime | None,
        typer.Option(
            help="How: only a new last layer, the last blocks of the network too, or everything.",
            show_default="as advised",
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            metavar="PIXELS",
            help="The side that photos are brought to: smaller is faster and shows less.",
            show_default="as advised, or as `advise` tries the regime",
        ),
    ] = None,
    advice: KnownAdvice = Path("advice"),
    format: Annotated[
        list[Format] | None,
        typer.Option(
            help="Of the model: safetensors for Python (timm), onnx for anywhere, checkpoint for "
            "Lightning. May be repeated.",
            show_default="all",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a model that is there already.")
    ] = False,
    backbone: Backbone = None,
    budget: Budget = None,
    group_by: GroupBy = None,
    yes: Yes = False,
    seed: Seed = 0,
    cache: Cache = None,
) -> None:
    """Train a model from all of your photos, in the way that was advised.

    Follows the advice in advice/ if it is on these photos, and else asks for it first. The folder
    holds the model for timm, ONNX Runtime and Lightning, and a README that says what to expect.

    Exit codes: 0 trained, 3 these photos allow no advice (`--regime` trains all the same),
    2 refused (with what to do), 130 interrupted.
    """
    from transfer_lab.cli import advising

    request = advising.Request(photos, backbone, budget, group_by, seed, cache, yes)
    formats = cast("tuple[Known, ...]", tuple(one.value for one in format or Format))
    wanted = advising.Wanted(
        out, regime and regime.value, formats, force, advice, image_size=image_size
    )
    raise typer.Exit(advising.train(request, wanted))


def predict(
    model: ModelFolder,
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PHOTOS]...",
            help="Folders or files; - reads their names from standard input, a line each.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the table there (.csv or .json)."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes are named for each photo.")] = 3,
    sort_into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Copy each photo into DIR/<its class>/."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table (the default).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Name new photos: a row each, with the class, how sure that is, and what else it may be.

    Photos that are unlike all that the model has learnt from are marked as unfamiliar. A file that
    cannot be read is a row that says so, and not the end.

    Exit codes: 0 named, 1 no file could be read, 2 refused (with what to do), 130 interrupted.
    """
    from transfer_lab.cli import answering

    if as_csv and as_json:
        raise typer.BadParameter("choose one of --csv and --json")
    kind = "json" if as_json else "csv" if as_csv else None
    raise typer.Exit(
        answering.predict(model, photos or [], out, top=top, sort_into=sort_into, kind=kind)
    )


def try_model(
    model: ModelFolder,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the page is served; 0: any free port.")
    ] = 8723,
) -> None:
    """Open a page on this machine to drop photos on; nothing leaves it. Ctrl-C ends it."""
    from transfer_lab.cli import answering

    raise typer.Exit(answering.try_model(model, port))
