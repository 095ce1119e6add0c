"""transfer_lab: measured evidence on which transfer-learning regime fits your data.

In a notebook: `from transfer_lab import load_experiment, run, records, report`.
"""

__version__ = "0.1.0"
__all__ = ["ConfigError", "load_experiment", "records", "report", "run"]


def __getattr__(name: str) -> object:
    """The library, loaded when it is first asked for; `records` and `report` are modules too."""
    if name in ("load_experiment", "run"):
        from transfer_lab import library

        return getattr(library, name)
    if name == "ConfigError":
        from transfer_lab.yaml_source import ConfigError

        return ConfigError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
