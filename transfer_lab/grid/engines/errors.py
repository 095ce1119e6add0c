"""What an engine says before it runs anything."""


class EngineError(RuntimeError):
    """The workers that were asked for cannot be had; the message says why and the way out."""
