"""The dashboard's server: a page, and what its script asks for, for this machine alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import parse_qs, urlencode, urlsplit

from transfer_lab.reporting.dashboard import comparison, differences, live, one_run, runs
from transfer_lab.reporting.dashboard.lab import Lab
from transfer_lab.reporting.dashboard.loading import Planned
from transfer_lab.reporting.dashboard.selection import Query, Selection
from transfer_lab.reporting.dashboard.wire import encoded
from transfer_lab.system.serving import Answer, LocalHandler, LocalServer

_DASHBOARD, _PAGE = "transfer_lab.reporting.dashboard", "transfer_lab.reporting.render"
_ASSETS = {
    "/": (_DASHBOARD, "dashboard.html"),
    "/dashboard.css": (_DASHBOARD, "dashboard.css"),
    "/dashboard.js": (_DASHBOARD, "dashboard.js"),
    "/charts.js": (_DASHBOARD, "charts.js"),
    "/elements.js": (_DASHBOARD, "elements.js"),
    "/parallel.js": (_DASHBOARD, "parallel.js"),
    "/runs.js": (_DASHBOARD, "runs.js"),
    "/views.js": (_DASHBOARD, "views.js"),
    "/page.css": (_PAGE, "page.css"),
    "/plotly.js": (_PAGE, "plotly-basic.min.js"),
    "/plots.js": (_PAGE, "plots.js"),
}


Ask = Callable[[Lab, Selection, Query], Answer | None]


def _json(make: Callable[[Lab, Selection, Query], object]) -> Ask:
    return lambda lab, selection, query: Answer(encoded(make(lab, selection, query)))


def _matrix(lab: Lab, selection: Selection, query: Query) -> object:
    return live.matrix(lab, lab.shown(selection), selection)


def _first(query: Query, name: str) -> str:
    return next(iter(query.get(name, ())), "")


def _curve(lab: Lab, selection: Selection, query: Query) -> Answer | None:
    run_id = _first(query, "run")
    content = one_run.curve_file(lab, run_id)
    return None if content is None else Answer(content, "csv", f"{run_id}.csv")


ROUTES: Mapping[str, Ask] = {
    "/api/experiments": _json(lambda lab, *_: live.experiments(lab)),
    "/api/live": _json(lambda lab, selection, _: live.live(lab, selection)),
    "/api/facets": _json(lambda lab, selection, _: live.facets(lab, selection)),
    "/api/matrix": _json(_matrix),
    "/api/comparison": _json(lambda lab, s, _: comparison.comparison(lab.shown(s), s)),
    "/api/cards": _json(lambda lab, s, _: comparison.cards(lab, lab.shown(s), s)),
    "/api/differences": _json(lambda lab, s, q: differences.differences(lab, lab.shown(s), s, q)),
    "/api/runs": _json(lambda lab, s, _: runs.runs(lab.shown(s), s)),
    "/api/run": _json(lambda lab, _, q: one_run.side_by_side(lab, q.get("run", ()))),
    "/api/log": _json(
        lambda lab, _, q: {"log": one_run.log(lab, next(iter(q.get("run", ())), ""))}
    ),
    "/download/records.csv": lambda lab, s, _: Answer(runs.as_csv(lab, s), "csv", "records.csv"),
    "/download/curve.csv": _curve,
}
"""What can be asked for. No part of an address is ever a path on disk."""

_STORED = frozenset(
    f"/api/{name}" for name in ("facets", "comparison", "cards", "differences", "runs")
)
"""Answers that are the same until a record, or the experiment, is another."""
_ANSWERS = 40
"""That are kept at a time."""


class Server(LocalServer):
    """Serves one lab."""

    def __init__(self, lab: Lab, host: str, port: int):
        self.lab = lab
        self._answers: dict[tuple[object, ...], tuple[list[Planned], Answer | None]] = {}
        super().__init__(host, port, _Handler)

    def answer(self, path: str, query: Query) -> Answer | None:
        """What is sent for an address; None where there is nothing."""
        if path in _ASSETS:
            return _asset(path)
        if path not in ROUTES:
            return None
        with self.lab.lock:
            selection = Selection.of(query, self.lab.known(), self.lab.default())
            if path not in _STORED:
                return ROUTES[path](self.lab, selection, query)
            return self._stored(path, selection, query)

    def _stored(self, path: str, selection: Selection, query: Query) -> Answer | None:
        looked_at = [self.lab.known()[name] for name in selection.experiments]
        tokens = tuple(map(self.lab.token, selection.experiments))
        asked = (path, urlencode(query, doseq=True), tokens, tuple(map(id, looked_at)))
        known = self._answers.pop(asked, None)
        if known is None:  # with the experiments, so that no other has one's id
            known = (looked_at, ROUTES[path](self.lab, selection, query))
        self._answers[asked] = known
        while len(self._answers) > _ANSWERS:
            del self._answers[next(iter(self._answers))]
        return known[1]


class _Handler(LocalHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802
        """Send what is asked for, unless the page has it already."""
        if self.refused():
            return
        asked = urlsplit(self.path)
        query = parse_qs(asked.query, max_num_fields=500)
        try:
            answer = self.server.answer(asked.path, query)
        except Exception as error:  # a page that is told what is wrong goes on
            told = encoded({"error": f"{type(error).__name__}: {error}"})
            self.send(HTTPStatus.INTERNAL_SERVER_ERROR, Answer(told))
            raise
        if answer is None:
            self.send(HTTPStatus.NOT_FOUND, Answer(encoded({"error": "there is nothing here"})))
            return
        tag = f'"{hashlib.sha256(answer.content).hexdigest()[:20]}"'
        if self.headers.get("If-None-Match") == tag:
            self.send(HTTPStatus.NOT_MODIFIED, None, tag)
        else:
            self.send(HTTPStatus.OK, answer, tag)

    do_HEAD = do_GET  # noqa: N815


@cache
def _asset(path: str) -> Answer:
    package, name = _ASSETS[path]
    content = (files(package) / "page" / name).read_bytes()
    return Answer(content, name.rpartition(".")[2])
