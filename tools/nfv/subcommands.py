"""The subcommands of nfv-bench that measure latency: a module each, which has an object TEST."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from .measurement import Test

# In the order in which `all` runs them.
NAMES = ('timer', 'interrupt', 'packet')


def tests() -> dict[str, Test]:
    return {name: import_module(f'{__package__}.{name}').TEST for name in NAMES if find_spec(f'{__package__}.{name}')}
