"""Which targets stand for themselves: those that share a source run are one cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePath

from transfer_lab.experiment.catalog import DOMAINS
from transfer_lab.experiment.choices import Choice
from transfer_lab.reporting.study import Study
from transfer_lab.stats.targets import FEWEST

ENOUGH_SOURCES, ENOUGH_FAMILIES = 3, 5


def clusters(study: Study) -> dict[str, str]:
    """By target, the first target of its cluster: those that share a source run, or ready-made
    weights, however far back, depend on one another, as do those that share one with the same."""
    first = {target: target for target in _targets(study)}
    known: dict[str, str] = {}
    for target, starts in _starts(study).items():
        for start in starts:
            own, other = first[target], first[known.setdefault(start, target)]
            first = {name: other if of == own else of for name, of in first.items()}
    return first


def said(study: Study) -> Iterator[str]:
    """What the protocol says of statements over targets; nothing of one target."""
    found = clusters(study)
    if len(found) < 2:
        return
    groups: dict[str, list[str]] = defaultdict(list)
    for target, cluster in found.items():
        groups[cluster].append(target)
    shared = [names for names in groups.values() if len(names) > 1]
    families = {family(study.experiment.domains[target]) for target in found}
    sources = {start for starts in _starts(study).values() for start in starts}
    text = (
        f"Over targets: {len(found)} targets, {_count(len(families), 'family', 'families')} of "
        f"data, {_count(len(sources), 'source run', 'source runs')} (or ready-made weights)."
    )
    for names in shared:
        text += (
            f" {', '.join(names)} share one and are one cluster: they count once, as their mean."
        )
    if len(groups) < FEWEST:
        text += f" Fewer than {FEWEST} clusters say nothing of other targets."
    else:
        text += (
            f" The {len(groups)} clusters are summed up by a random-effects model (restricted "
            "maximum likelihood, Hartung and Knapp's interval of the mean, Higgins' interval for "
            "the next target)."
        )
    if len(sources) < ENOUGH_SOURCES or len(families) < ENOUGH_FAMILIES:
        text += (
            f" With fewer than {ENOUGH_FAMILIES} families and {ENOUGH_SOURCES} sources that holds "
            "for targets and sources like these alone."
        )
    yield text


def family(domain: Choice) -> str:
    """What a domain is made from or lies beside: domains of one family are akin."""
    if domain.root is not None and domain.kind in DOMAINS:
        return f"{domain.kind} {PurePath(domain.root).parent}"
    if domain.kind in DOMAINS:
        return DOMAINS[domain.kind].path.partition(":")[0]
    return domain.module or domain.distribution or domain.kind


def _targets(study: Study) -> Iterator[str]:
    yield from dict.fromkeys(place.target for place in study.experiment.scenarios.values())


def _starts(study: Study) -> dict[str, list[str]]:
    """By target, where its networks start from: the first runs of their chains."""
    rows = study.frame.dropna(subset=["init_id"])
    found = rows.groupby("target", sort=False)["init_id"].unique()
    return {target: [_first(study, start) for start in starts] for target, starts in found.items()}


def _first(study: Study, run_id: str) -> str:
    while (record := study.sources.get(run_id)) and record.init_id:
        run_id = record.init_id
    return run_id


def _count(n: int, one: str, more: str) -> str:
    return f"{n} {one if n == 1 else more}"
