"""Curves that are read together are those that are read one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from transfer_lab.store.curves import read_curves


def read(files):
    """The curves, none of which is damaged."""
    contents = [(run_id, path.read_bytes()) for run_id, path in files.items() if path.exists()]
    return read_curves(contents, leave_out=None)


def write(folder, name, text):
    path = folder / f"{name}.csv"
    path.write_text(text)
    return path


def test_every_curve_is_that_of_its_own_file(tmp_path):
    files = {
        "a": write(tmp_path, "a", "epoch,train_loss,val_loss\n1,2.5,\n2,0.125,0.5\n"),
        "b": write(tmp_path, "b", "epoch,train_loss,val_loss\n1,3,\n"),
        "other": write(tmp_path, "other", "epoch,loss\n1,7\n2,8\n3,9\n"),
        "c": write(tmp_path, "c", "epoch,train_loss,val_loss\n1,1e-3,4\n2,5,6"),
    }
    found = read(files)
    assert set(found) == set(files)
    for run_id, path in files.items():
        alone = pd.read_csv(path)
        assert list(found[run_id]) == list(alone)
        for name in alone:
            np.testing.assert_array_equal(found[run_id][name], alone[name].to_numpy(dtype=float))


def test_a_run_without_a_curve_is_left_out(tmp_path):
    files = {"here": write(tmp_path, "here", "epoch\n1\n"), "absent": tmp_path / "absent.csv"}
    assert set(read(files)) == {"here"}


def test_an_empty_curve_moves_no_other(tmp_path):
    files = {
        "before": write(tmp_path, "before", "epoch,train_loss\n1,1\n"),
        "empty": write(tmp_path, "empty", "epoch,train_loss\n\n"),
        "after": write(tmp_path, "after", "epoch,train_loss\n\n1,2\n"),
    }
    found = read(files)
    losses = {run_id: curve["train_loss"].tolist() for run_id, curve in found.items()}
    assert losses == {"before": [1], "empty": [], "after": [2]}
