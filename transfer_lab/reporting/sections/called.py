"""What texts on transfer learning call the scenarios."""

from __future__ import annotations

from transfer_lab.reporting.blocks import Block, Fold, Paragraph, Table, cell
from transfer_lab.reporting.study import Study
from transfer_lab.reporting.taxonomies import taxonomies

TAXONOMY = (
    "Texts on transfer learning name scenarios by two schemes that contradict one another. By "
    "labels: inductive where the target has some, transductive where the source alone has, "
    "unsupervised where none has. By domain and task: other images of the same classes are "
    "transductive, the same images in other classes inductive, and other images of other classes "
    "unsupervised, whatever labels there are. Homogeneous: the same shape of inputs, which all "
    "images here have, and classes of the same names."
)


def called(study: Study) -> tuple[Block, ...]:
    """What the articles call the scenarios of which both lists of classes are stored."""
    found = taxonomies(study)
    if not found:
        return ()
    rows = tuple((cell(scenario), *map(cell, names)) for scenario, names in found.items())
    head = ("scenario", "by labels", "by domain and task", "inputs and classes")
    table = Table("What the scenarios are called", head, rows, texts=4)
    return (
        Fold("What texts on transfer learning call the scenarios", (Paragraph(TAXONOMY), table)),
    )
