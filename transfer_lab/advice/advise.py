"""What to do with labelled photographs, what to expect and what it costs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_lab.advice.album import Album, Photo, RefusedError, read_album
from transfer_lab.advice.audit import Findings, audit
from transfer_lab.advice.clock import Clock
from transfer_lab.advice.feature_store import cache_folder
from transfer_lab.advice.features import Features, extract
from transfer_lab.advice.listening import SILENT, Listener
from transfer_lab.advice.networks import Network, find_network
from transfer_lab.advice.own_groups import FOLDER, own_groups

BUDGET = 300.0
"""Seconds."""
