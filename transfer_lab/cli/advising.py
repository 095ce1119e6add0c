"""What `advise` and `train` do, step by step. Imports nothing heavy before it is needed."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_lab.advice import folder
from transfer_lab.advice.advice import Advice
from transfer_lab.advice.album.handed_over import RefusedError
from transfer_lab.advice.model.manifest import Format
from transfer_lab.advice.model.place import check_place
from transfer_lab.advice.wording import Line, terminal
from transfer_lab.cli import questions
from transfer_lab.cli.endings import told
from transfer_lab.cli.lines import print_lines
from transfer_lab.cli.steps import Steps, console
from transfer_lab.reporting.wording import one_line
from transfer_lab.system.files import unwritable

if TYPE_CHECKING:
    from transfer_lab.advice.advised import Advised

DONE, ABSTAINED = 0, 3
_KEPT = "what was computed is kept, and the same command goes on from there"


@dataclass(frozen=True)
class Request:
    """Photographs, and how they are to be looked at; `budget` in seconds."""

    source: Path
    backbone: str | None
    budget: float | None
    group_by: str | None
    seed: int
    cache: Path | None
    yes: bool


@dataclass(frozen=True)
class Wanted:
    """A model: its folder, the regime and the images' side if they are not the advised ones, how it
    is written, and where advice may lie."""

    out: Path
    regime: str | None
    formats: tuple[Format, ...]
    force: bool
    advice: Path
    image_size: int | None = None


def advise(request: Request, out: Path, *, as_json: bool) -> int:
    """Advise, write the folder, print what is in it; returns the exit code."""
    with told(_KEPT) as ended:
        _check_writable(out)
        advised = _advised(request)
        page = advised.save(out)
        if as_json:
            console()  # letters that the output does not know are replaced
            print((out / folder.JSON).read_text(encoding="utf-8"), end="")
        else:
            _show(advised.advice, page, request.source)
        return ABSTAINED if advised.advice.abstained else DONE
    return ended.code


def train(request: Request, wanted: Wanted) -> int:
    """Follow the advice that is there, or ask for it first; returns the exit code."""
    with told(_KEPT) as ended:
        check_place(wanted.out, force=wanted.force)
        known = _known(wanted.advice, request)
        # With advice at hand, or a regime named, nothing is left to be compared.
        advised = _advised(request, compare=known is None and wanted.regime is None)
        if known is not None and _are_the_same(known, advised.advice):
            advised = advised.follow(known)
        elif known is not None:
            advised = _advised(request)
        if advised.advice.abstained and wanted.regime is None:
            _show(advised.advice, None, request.source)
            return ABSTAINED
        _train(advised, wanted)
        return DONE
    return ended.code


def _advised(request: Request, *, compare: bool = True) -> Advised:
    err = console(error=True)
    ask = questions.is_terminal() and not request.yes
    group_by = request.group_by
    if group_by is None and (ask or request.yes):
        group_by = questions.group_by(request.source, err, ask=ask)
    started = time.monotonic()  # a person's time to answer is not the program's
    with Steps(err) as steps:
        steps.step("starting", 5.0)
        from transfer_lab.advice.advise import advise as look
        from transfer_lab.advice.advised import Advised
        from transfer_lab.advice.features.feature_store import cache_folder

        left = request.budget and max(1.0, request.budget - (time.monotonic() - started))
        session = look(
            request.source,
            backbone=request.backbone,
            budget=left if compare else 0.0,
            group_by=group_by,
            seed=request.seed,
            cache=request.cache or cache_folder(),
            listen=steps,
        )
    return Advised(session, request.source)


def _train(advised: Advised, wanted: Wanted) -> None:
    with Steps(console(error=True)) as steps:
        advised.train(
            wanted.out,
            regime=wanted.regime,
            image_size=wanted.image_size,
            formats=wanted.formats,
            force=wanted.force,
            listen=steps,
        )
    out = console()
    place = one_line(str(wanted.out))
    print_lines(out, [Line("MODEL", f"{place}/, described in {place}/README.md")])
    next_words = ["transfer-lab", "predict", str(wanted.out), "NEW_PHOTOS"]
    print_lines(out, [Line("next:", f"{shlex.join(next_words)} -o answers.csv")])


def _known(place: Path, request: Request) -> Advice | None:
    """Advice that was written there, and asked for in the same way."""
    found = folder.read(place)
    if found is None or found.seed != request.seed or found.recommendation is None:
        return None
    return None if request.backbone is not None else found


def _are_the_same(known: Advice, now: Advice) -> bool:
    """Whether the advice is on these photographs, or on as many as there was the time for."""
    if any(flag.kind == "not_reached" for flag in known.flags):
        fewer = known.data.images < now.data.images
        return fewer and known.data.classes == now.data.classes
    return known.data.content_hash == now.data.content_hash


def _show(advice: Advice, page: Path | None, source: Path) -> None:
    command = f"transfer-lab train {shlex.quote(str(source))} -o model/"
    if advice.abstained:
        command = ""
    print_lines(console(), terminal(advice, str(page or ""), command))


def _check_writable(place: Path) -> None:
    """Refuses before the work; a folder that is not there yet is not made for the test."""
    problems = unwritable([place if place.exists() else place.absolute().parent])
    if problems:
        raise RefusedError(problems[0])
