"""Where a fit's time goes: every operator falls into one part, and the parts into the whole."""

from __future__ import annotations

import pytest

from benchmarks.fit_profile import FitShare, fit_profile, kind
from tests.builders import experiment
from transfer_lab.experiment.plan import plan
from transfer_lab.store.records import RecordStore
from transfer_lab.training.fit import quiet
from transfer_lab.training.run import Setting, train


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("aten::mkldnn_convolution", "products"),
        ("aten::convolution_backward", "products"),
        ("aten::addmm", "products"),
        ("aten::mm", "products"),
        ("aten::native_batch_norm_backward", "passes"),
        ("aten::threshold_backward", "passes"),
        ("aten::_fused_adamw_", "optimizer"),
        ("Optimizer.step#AdamW.step", "optimizer"),
        ("autograd::engine::evaluate_function: AddmmBackward0", "other"),
    ],
)
def test_the_kind_of_an_operator(name, part):
    assert kind(name) == part


def test_what_no_operator_took_is_the_rest():
    share = FitShare(
        products=5.0, passes=2.0, optimizer=1.0, whole=10.0, operations=2e11, best=8e10
    )
    assert share.row == ("10.00", "50%", "20%", "10%", "20%", "40", "50%")


def test_a_row_for_each_backbone_by_its_longest_run(tmp_path):
    quiet()
    store = RecordStore(tmp_path)
    runs = [c.run for c in plan(experiment()) if c.regime in {"from_scratch", "linear_probe"}][:2]
    for run in runs:
        if run.parent:
            train(run.parent, store, Setting(), keep_weights=True)
        train(run, store, Setting())
    found = fit_profile(runs, store, quick=True)
    assert [row[0] for row in found.rows] == list(dict.fromkeys(r.backbone.label for r in runs))
    assert all(len(row) == len(found.head) for row in found.rows)
    parts = [float(text.rstrip("%")) for text in found.rows[0][2:6]]
    assert sum(parts) == pytest.approx(100, abs=2)
    assert min(parts) >= 0
