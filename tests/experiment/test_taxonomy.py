"""What texts call a scenario: every case of both schemes, and what is known before images are."""

from __future__ import annotations

from itertools import product

import pytest

from tests.reporting.invented import experiment
from transfer_lab.experiment.spec import Pretrain, Scenario
from transfer_lab.experiment.taxonomy import labels_read, possible, taxonomy, words

ORDINARY, INDUCTIVE, TRANSDUCTIVE, UNSUPERVISED = (
    *("ordinary learning", "inductive", "transductive", "unsupervised"),
)
CASES = {
    (True, True, "target"): (INDUCTIVE, ORDINARY, "homogeneous"),
    (True, True, "source"): (TRANSDUCTIVE, ORDINARY, "homogeneous"),
    (True, True, "none"): (UNSUPERVISED, ORDINARY, "homogeneous"),
    (True, False, "target"): (INDUCTIVE, INDUCTIVE, "heterogeneous"),
    (True, False, "source"): (TRANSDUCTIVE, INDUCTIVE, "heterogeneous"),
    (True, False, "none"): (UNSUPERVISED, INDUCTIVE, "heterogeneous"),
    (False, True, "target"): (INDUCTIVE, TRANSDUCTIVE, "homogeneous"),
    (False, True, "source"): (TRANSDUCTIVE, TRANSDUCTIVE, "homogeneous"),
    (False, True, "none"): (UNSUPERVISED, TRANSDUCTIVE, "homogeneous"),
    (False, False, "target"): (INDUCTIVE, UNSUPERVISED, "heterogeneous"),
    (False, False, "source"): (TRANSDUCTIVE, UNSUPERVISED, "heterogeneous"),
    (False, False, "none"): (UNSUPERVISED, UNSUPERVISED, "heterogeneous"),
}


def test_all_cases_are_in_the_table():
    assert {*CASES} == {*product((True, False), (True, False), ("target", "source", "none"))}


@pytest.mark.parametrize(("case", "names"), CASES.items())
def test_each_case_has_its_names_in_both_schemes(case, names):
    same_images, same_classes, labels = case
    found = taxonomy(same_images=same_images, same_classes=same_classes, labels=labels)
    assert tuple(found) == names


def test_the_two_schemes_contradict_one_another_where_most_transfer_takes_place():
    """Other images of other classes, with labels: inductive, and unsupervised."""
    found = taxonomy(same_images=False, same_classes=False, labels="target")
    assert (found.by_labels, found.by_domain_and_task) == (INDUCTIVE, UNSUPERVISED)


def grid(**scenario: object):
    place = {"source": "latin", "target": "cyrillic", "per_class": 5, "size": "small"}
    made = Scenario(**{"similarity": "similar"} | place | scenario)
    return experiment().model_copy(update={"scenarios": {"one": made}})


def test_before_images_are_looked_at_class_names_leave_two_answers():
    first, second = possible(grid(), "one")
    assert (first.spaces, second.spaces) == ("homogeneous", "heterogeneous")
    assert words((first, second)) == (
        "inductive by labels; by domain and task transductive, homogeneous, where the classes have "
        "the same names, else unsupervised, heterogeneous"
    )


def test_a_target_that_is_its_own_source_leaves_one():
    (only,) = possible(grid(source=None, control="self"), "one")
    assert (
        words((only,)) == "inductive by labels, ordinary learning by domain and task, homogeneous"
    )


def test_without_a_source_nothing_is_transferred_between_domains():
    assert possible(grid(source=None), "one") == ()


def test_labels_that_regimes_are_not_given_are_those_of_the_target_alone():
    assert labels_read(grid(), "one") == "target"
    unlabelled = grid(labels="none")
    assert labels_read(unlabelled, "one") == "source"
    unread = unlabelled.model_copy(update={"pretrain": Pretrain(regime="rotation")})
    assert labels_read(unread, "one") == "none"
