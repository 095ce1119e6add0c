"""An advice with what it rests on: to be read, shown, and trained from."""

from __future__ import annotations

import dataclasses
import html
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_lab.advice import folder
from transfer_lab.advice.advice import Advice, Recommendation
from transfer_lab.advice.album.handed_over import RefusedError
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.model.manifest import FORMATS, Format
from transfer_lab.advice.page.sheets import Shot
from transfer_lab.advice.wording import terminal

if TYPE_CHECKING:
    from transfer_lab.advice.advise import Session
    from transfer_lab.advice.model.loading import Model

REGIMES = {
    "last-layer": "linear_probe",
    "last-blocks": "partial_finetune",
    "everything": "full_finetune",
}
"""What a person calls a regime -> the regime."""


class Advised:
    """What `transfer_lab.advise` returns; a notebook shows its page.

    `advice` is the content of advice.json.
    """

    def __init__(self, session: Session, source: Path):
        self.session, self.source = session, source
        self.advice: Advice = session.advice

    @property
    def text(self) -> str:
        """The advice as the terminal prints it, in one piece."""
        lines = terminal(self.advice, folder.PAGE, self.next_command())
        return "\n".join(f"{line.head:12} {line.text}".rstrip() for line in lines)

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        page = html.escape(self._page(Path()), quote=True)
        look = 'title="advice" sandbox="" style="width: 100%; height: 80vh; border: 0"'
        return f'<iframe {look} srcdoc="{page}"></iframe>'

    def next_command(self) -> str:
        """What to call next, in a shell."""
        import shlex

        return f"transfer-lab train {shlex.quote(str(self.source))} -o model/"

    def save(self, out: Path | str = "advice") -> Path:
        """Write advice.json, the page and the table of what should be looked at; returns the page.

        Raises OSError.
        """
        root = self.session.album.root
        return folder.write(self.advice, self.shots(), root, Path(out), self.next_command())

    def train(
        self,
        out: Path | str = "model",
        *,
        regime: str | None = None,
        image_size: int | None = None,
        formats: Collection[Format] = FORMATS,
        force: bool = False,
        listen: Listener = SILENT,
    ) -> Model:
        """Train from all photographs in the advised way, write the model's folder and return it.

        `regime`: `last-layer`, `last-blocks` or `everything` in place of the advised one;
        `image_size`: the side of the images in pixels, without it that at which `advise` tries the
        regime. `force` replaces a model that is there. Raises RefusedError where there is nothing
        to follow, or `out` is taken.
        """
        from transfer_lab.advice.final_fit import final_fit
        from transfer_lab.advice.model.loading import load_model
        from transfer_lab.advice.model.place import check_place
        from transfer_lab.advice.model.saving import save

        check_place(Path(out), force=force)
        wanted = self._wanted(regime, image_size)
        if image_size is None and regime and wanted.image_size != self.session.network.image_size:
            size = f"at {wanted.image_size} px, as advise tries it"
            listen.say(f"{size}; --image-size names another")
        fitted = final_fit(self.session.complete(listen), wanted, listen)
        started = time.monotonic()
        listen.step("writing the model", None)
        save(fitted, Path(out), formats=formats, force=force)
        listen.done("writing the model", time.monotonic() - started)
        return load_model(Path(out))

    def shots(self) -> list[Shot]:
        """Every photograph with its class and what it was named when it was held out."""
        album, answers = self.session.album, self._answers()
        return [
            Shot(album.place(photo.path), int(label), None if answer is None else int(answer))
            for photo, label, answer in zip(album.photos, album.labels, answers, strict=True)
        ]

    def follow(self, known: Advice) -> Advised:
        """The same photographs with advice that was given on them before; what was answered now
        is kept only if that recommends the same."""
        same = known.recommendation == self.advice.recommendation
        oof = self.session.oof if same else None
        return Advised(dataclasses.replace(self.session, advice=known, oof=oof), self.source)

    def _answers(self) -> np.ndarray | list[None]:
        if self.session.oof is None:
            return [None] * len(self.session.album.photos)
        return self.session.oof.answers[0]

    def _page(self, out: Path) -> str:
        from transfer_lab.advice.page.render import to_html

        root = self.session.album.root
        return to_html(self.advice, self.shots(), root, out, self.next_command())

    def _wanted(self, regime: str | None, image_size: int | None) -> Recommendation:
        from transfer_lab.advice.challengers.field import size_of

        if regime is not None and regime not in REGIMES:
            raise RefusedError(f"no regime {regime!r}; there are {', '.join(REGIMES)}")
        advised, network = self.advice.recommendation, self.session.network
        if regime is not None:
            name, options = REGIMES[regime], {}
            backbone, size = network.name, size_of(name, network)
        elif advised is not None:
            name, options = advised.regime, advised.options
            backbone, size = advised.backbone, advised.image_size
        else:
            reasons = " ".join(dict.fromkeys(one.reason for one in self.advice.abstentions))
            raise RefusedError(
                f"there is no advice to follow: {reasons} Name a regime to train all the same"
            )
        size = image_size or size
        found = Recommendation(backbone=backbone, regime=name, image_size=size, options=options)
        return advised if advised and _are_one_way(found, advised) else found


def _are_one_way(one: Recommendation, other: Recommendation) -> bool:
    ways = [(way.backbone, way.regime, way.image_size) for way in (one, other)]
    return ways[0] == ways[1]
