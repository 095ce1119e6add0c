"""The reference pages are what the code says now."""

import pytest

from docs.reference import FOLDER, MEANINGS, MODELS, PAGES, kinds_page
from transfer_lab.experiment.budget import Fit
from transfer_lab.experiment.catalog import BACKBONES, DOMAINS, REGIMES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_what_the_code_says(name):
    told = (FOLDER / name).read_text(encoding="utf-8")
    assert told == PAGES[name](), "write it anew: python -m docs.reference"


@pytest.mark.parametrize("registry", [DOMAINS, BACKBONES, REGIMES], ids=lambda r: r.kind)
def test_every_registered_name_is_listed(registry):
    page = kinds_page()
    headings = {f"{kind}:NAME" if registry[kind].family else kind for kind in registry}
    assert [name for name in headings if f"### `{name}`\n" not in page] == []


def test_a_key_without_words_is_an_error(monkeypatch):
    told = {key: words for key, words in MEANINGS["fit"].items() if key != "patience"}
    monkeypatch.setitem(MEANINGS, "fit", told)
    with pytest.raises(SystemExit, match="patience"):
        PAGES["experiments-reference.md"]()


def test_every_key_of_every_model_has_a_row():
    page = PAGES["experiments-reference.md"]()
    for name, (model, _) in MODELS.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        keys = set(model.model_fields) - (set(Fit.model_fields) if name == "pretrain" else set())
        keys -= {"looks"} if name == "experiment" else set()  # which are written under seeds
        assert [key for key in keys if f"| `{key}` |" not in section] == [], name
