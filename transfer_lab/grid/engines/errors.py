"""What an engine says before it runs anything, and of workers that die."""


class EngineError(RuntimeError):
    """The workers that were asked for cannot be had; the message says why and the way out."""


class WorkerCrashError(RuntimeError):
    """A worker process died while it was running something."""


class WorkerHungError(WorkerCrashError):
    """A worker had ceased to do anything while it was to run something, and was ended."""
