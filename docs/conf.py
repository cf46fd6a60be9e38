"""How Sphinx builds the manual: `make docs`."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from importlib.util import find_spec
from pathlib import Path
import re
import sys

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / '_ext'))


def upstream(name: str) -> str:
    """A value of the file UPSTREAM, the one place that names the version of QEMU."""
    found = re.search(rf'^{name}=(\S+)$', (HERE.parent / 'UPSTREAM').read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f'UPSTREAM has no line {name}=…')
    return found[1]


def manual_page(file: Path) -> tuple[str, str, str, str, int]:
    """man/NAME.SECTION.rst, whose first line says in a comment what it is about."""
    name, section = file.stem.rsplit('.', 1)
    summary = re.match(r'\.\. man: (.+)', file.read_text())
    if not summary:
        raise SystemExit(f'{file}: the first line must be ".. man: what it is about"')
    return f'man/{file.stem}', name, summary[1], '', int(section)


project = 'kvm4nfv'
author = 'the kvm4nfv authors'
project_copyright = f'2026 {author}'
version = upstream('series')
release = upstream('version')

extensions = ['commands', 'properties']
nitpicky = True
smartquotes = False
highlight_language = 'none'
rst_epilog = f'.. |version| replace:: {release}\n.. |series| replace:: {version}\n'

html_theme = 'furo' if find_spec('furo') else 'alabaster'
# All that dark needs: the style sheet of Debian 12's furo leaves out what a reader's system prefers.
html_theme_options = {'dark_css_variables': {
    'color-problematic': '#ff7b72', 'color-foreground-primary': '#e6e6e6', 'color-foreground-secondary': '#a8adb4',
    'color-foreground-muted': '#9097a0', 'color-foreground-border': '#6b7078', 'color-background-primary': '#16181c',
    'color-background-secondary': '#1d2025', 'color-background-hover': '#262a31',
    'color-background-hover--transparent': '#262a3100', 'color-background-border': '#363b43',
    'color-background-item': '#4a4f57', 'color-brand-primary': '#5cb3f0', 'color-brand-content': '#6ab8f2',
    'color-highlighted-background': '#0f3f66', 'color-guilabel-background': '#0f3f6680',
    'color-guilabel-border': '#2b5f8a80', 'color-highlight-on-target': '#3a3a10', 'color-admonition-background': '#1d2025',
    'color-card-background': '#1d2025', 'color-card-marginals-background': '#262a31',
}} if html_theme == 'furo' else {}
html_title = f'kvm4nfv, QEMU {release}'
html_static_path = ['_static']
html_css_files = ['nfv.css']
html_copy_source = False
html_show_sphinx = False

man_pages = [manual_page(f) for f in sorted((HERE / 'man').glob('*.[1-8].rst'))]
man_show_urls = False
