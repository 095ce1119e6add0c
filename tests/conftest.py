"""What all tests run under: how long an example takes is no test's business, and neither is how
pytest was started."""

import signal

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored under nohup and behind `&`
