"""transfer_lab: measured evidence on which transfer-learning regime fits your data.

From photos to a model: `from transfer_lab import advise, load_model`. For the grid, in a notebook:
`from transfer_lab import load_experiment, run, records, report`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers; at run time `__getattr__` loads them when asked
    from transfer_lab.advice.album.handed_over import RefusedError
    from transfer_lab.api import advise, load_experiment, load_model, records, report, run
    from transfer_lab.experiment.yaml_source import ConfigError

__version__ = "0.1.0"
__all__ = [
    "ConfigError",
    "RefusedError",
    "advise",
    "load_experiment",
    "load_model",
    "records",
    "report",
    "run",
]


def __getattr__(name: str) -> object:
    """The library, loaded when it is first asked for."""
    if name == "ConfigError":
        from transfer_lab.experiment.yaml_source import ConfigError

        return ConfigError
    if name == "RefusedError":
        from transfer_lab.advice.album.handed_over import RefusedError

        return RefusedError
    if name in __all__:
        from transfer_lab import api as library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
