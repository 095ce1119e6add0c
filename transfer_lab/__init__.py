"""transfer_lab: measured evidence on which transfer-learning regime fits your data.

In a notebook: `from transfer_lab import load_experiment, run, records, report`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers; at run time `__getattr__` loads them when asked
    from transfer_lab.api import load_experiment, records, report, run
    from transfer_lab.experiment.yaml_source import ConfigError

__version__ = "0.1.0"
__all__ = ["ConfigError", "load_experiment", "records", "report", "run"]


def __getattr__(name: str) -> object:
    """The library, loaded when it is first asked for."""
    if name == "ConfigError":
        from transfer_lab.experiment.yaml_source import ConfigError

        return ConfigError
    if name in __all__:
        from transfer_lab import api as library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
