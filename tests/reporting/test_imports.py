"""What the report does not import."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def loaded(code: str) -> set[str]:
    """The modules that a fresh process has loaded after running the code."""
    script = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_report_is_light():
    heavy = {"torch", "lightning", "matplotlib", "pandas", "scipy", "jinja2"}
    assert not loaded("import transfer_lab.reporting") & heavy


def test_writing_it_needs_neither_torch_nor_pyplot(tmp_path):
    code = (
        "from pathlib import Path\n"
        f"from {__package__.rpartition('.')[2]}.invented import Grid, experiment\n"
        f"Grid(experiment(seeds=2)).finish().write(Path({str(tmp_path)!r}))"
    )
    assert not loaded(code) & {"torch", "lightning", "matplotlib.pyplot"}
