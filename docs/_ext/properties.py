"""The directives ``nfv-property`` and ``nfv-trace``, whose names `scripts/check-docs.py` compares with QEMU."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import json
from pathlib import Path

from sphinx.application import Sphinx

KINDS = ('nfv-property', 'nfv-trace')


def write(app: Sphinx, error: Exception | None) -> None:
    if not error and app.builder.name == 'html':
        objects = app.env.get_domain('std').objects
        names = {kind: sorted(name for k, name in objects if k == kind) for kind in KINDS}
        Path(app.outdir, 'names.json').write_text(json.dumps(names, indent=1) + '\n')


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_object_type('nfv-property', 'nfv-property', 'pair: property; %s', objname='property')
    app.add_object_type('nfv-trace', 'nfv-trace', 'pair: trace event; %s', objname='trace event')
    app.connect('build-finished', write)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
