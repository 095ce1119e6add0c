"""The site builds without a warning, and its pages ask nobody for anything."""

import os
import re
import subprocess
import sys

import pytest

from docs.quoted_numbers import ROOT

pytest.importorskip("sphinx", reason="pip install '.[docs]'")
pytest.importorskip("furo", reason="pip install '.[docs]'")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "docs", folder], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}


def test_no_page_loads_anything_from_elsewhere(site):
    loading = re.compile(r"""(?:<script|<link|<img|<iframe)[^>]*(?:src|href)=["'](?:https?:)?//""")
    fetching = re.compile(r"@import[^;]*//|url\(\s*[\"']?(?:https?:)?//")
    assert [page.name for page in site.rglob("*.html") if loading.search(page.read_text())] == []
    assert [path.name for path in site.rglob("*.css") if fetching.search(path.read_text())] == []


def test_the_markers_of_numbers_are_invisible(site):
    text = re.sub(r"<!--.*?-->", "", (site / "results.html").read_text(), flags=re.DOTALL)
    assert "four_scenarios &gt; " not in text
