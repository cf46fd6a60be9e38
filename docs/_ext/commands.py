"""Collect the marked command blocks of the manual, so that `scripts/check-docs.py` can run them.

A code block with the class ``run`` is a command; ``docs/developer/documentation.rst`` tells about the other classes.
"""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

KNOWN = {'run', 'output', 'slow', 'tree'}
logger = logging.getLogger(__name__)


def unknown_class(name: str) -> bool:
    prefix, _, rest = name.partition('-')
    return not (name in KNOWN or prefix == 'needs' and rest or prefix == 'exit' and rest.isdigit())


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Remember the commands of one page, each with the output that the page shows right after it."""
    blocks: list[dict[str, Any]] = []
    for node in doctree.findall(nodes.literal_block):
        classes = set(node['classes'])
        if not classes & {'run', 'output'}:
            continue
        for name in filter(unknown_class, sorted(classes)):
            logger.warning('a command block has the unknown class %r; see developer/documentation', name, location=node)
        if 'run' in classes:
            blocks.append({'line': node.line, 'text': node.astext(), 'classes': sorted(classes - {'run'})})
        elif blocks and 'output' not in blocks[-1]:
            blocks[-1]['output'] = node.astext()
        else:
            logger.warning('an output block does not follow a command', location=node)
    app.env.nfv_commands[app.env.docname] = blocks


def begin(app: Sphinx, *_: Any) -> None:
    app.env.nfv_commands = {}


def write(app: Sphinx, error: Exception | None) -> None:
    if not error and app.builder.name == 'html':
        pages = {page: blocks for page, blocks in sorted(app.env.nfv_commands.items()) if blocks}
        Path(app.outdir, 'commands.json').write_text(json.dumps(pages, indent=1, ensure_ascii=False) + '\n')


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect('env-before-read-docs', begin)
    app.connect('doctree-read', collect)
    app.connect('build-finished', write)
    return {'parallel_read_safe': False, 'parallel_write_safe': True}
