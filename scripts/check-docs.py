#!/usr/bin/env python3
"""Build the manual, and check its links, its completeness and the commands that it shows; TAP.

usage: check-docs.py [--slow] [--keep DIR] [--page NAME] TOP

With --slow also the commands marked slow are run, and with --page only those of one page, without other checks.

Copyright (c) 2026 the kvm4nfv authors
SPDX-License-Identifier: GPL-2.0-or-later
"""
from __future__ import annotations

import argparse
import ctypes
from html.parser import HTMLParser
from importlib.util import find_spec
import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Callable
from urllib.parse import unquote, urlsplit
import xml.etree.ElementTree as ET

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / 'tools'))

from nfv.shown import difference  # noqa: E402  # pylint: disable=wrong-import-position


def is_built(top: Path) -> bool:
    """Whether make may be called there; not where the build is another tree's, which it would change."""
    return (top / 'build/build.ninja').exists() and not any((top / name).is_symlink() for name in ('build', 'qemu'))


PATIENCE = {False: 300, True: 900}
PR_SET_CHILD_SUBREAPER = 36
# What a block may need besides a built tree, as the class needs-NAME.
NEEDS: dict[str, Callable[[Path], str | None]] = {
    'root': lambda top: None if os.geteuid() == 0 else 'root',
    'kvm': lambda top: None if os.access('/dev/kvm', os.R_OK | os.W_OK) else 'access to /dev/kvm',
    'build': lambda top: None if is_built(top) else 'a built tree: run `make`',
    'guest': lambda top: None if (top / 'build/guest/initrd.gz').exists() else 'build/guest: run `make guest`',
    'probe': lambda top: None if (top / 'build/nfv/guest/probe/probe').exists() else 'build/nfv: run `make tree`',
    'stock': lambda top: None if (top / 'build-stock/qemu-system-x86_64').exists() else 'build-stock: run `make stock`',
    'cpus': lambda top: None if len(os.sched_getaffinity(0)) > 1 else 'two host CPUs',
}


class Tap:
    """Numbers the results."""

    def __init__(self) -> None:
        self.number = 0
        self.failed = 0

    def result(self, name: str, problems: list[str]) -> None:
        self.number += 1
        self.failed += bool(problems)
        print(f'{"not ok" if problems else "ok"} {self.number} {name.replace("#", " ")}')
        for line in '\n'.join(problems).splitlines():
            print(f'# {line}')
        sys.stdout.flush()

    def skip(self, name: str, why: str) -> None:
        self.number += 1
        print(f'ok {self.number} {name.replace("#", " ")} # SKIP {why}', flush=True)


# Building

def build(top: Path, builder: str, out: Path) -> list[str]:
    """Problems of a build with that builder of Sphinx: each warning is one."""
    run = subprocess.run([sys.executable, '-m', 'sphinx', '-E', '-W', '--keep-going', '-q', '-b', builder,
                          '-d', out / 'doctrees', top / 'docs', out / builder],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False)
    return [run.stdout or f'exit status {run.returncode}'] if run.returncode else []


# Links

class Page(HTMLParser):
    """What an HTML page links to, loads, and can be linked to by."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors = {'', 'top'}
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value for name, value in attrs if value is not None}
        self.anchors |= {named[key] for key in ('id', 'name') if key in named}
        if tag == 'a' and 'href' in named:
            self.links.append(named['href'])
        if 'src' in named:
            self.loads.append(named['src'])
        if tag == 'link' and named.get('rel') in ('stylesheet', 'icon', 'preload'):
            self.loads.append(named['href'])


def check_links(html: Path) -> list[str]:
    """Links within the manual that lead nowhere, and what a page would load from elsewhere."""
    pages = {file: Page(file) for file in html.rglob('*.html')}
    problems = []
    for file, page in pages.items():
        where = file.relative_to(html)
        # The theme shows its own, and an error in place of the page's.
        if 'class="contents' in file.read_text():
            problems.append(f'{where}: has a directive contents; the theme makes one for each page')
        for link in page.links + page.loads:
            url = urlsplit(link)
            if url.scheme in ('http', 'https', 'mailto') and link not in page.loads:
                continue
            if url.scheme == 'data':
                continue
            if url.scheme or url.netloc:
                problems.append(f'{where}: loads {link} from elsewhere')
                continue
            target = (file.parent / unquote(url.path)).resolve() if url.path else file
            if not target.exists():
                problems.append(f'{where}: {link} leads nowhere')
            elif target in pages and unquote(url.fragment) not in pages[target].anchors:
                problems.append(f'{where}: {link} leads to no place of its page')
    return sorted(set(problems))


def check_readme(top: Path) -> list[str]:
    """Relative links of README.md that lead nowhere."""
    text = (top / 'README.md').read_text()
    links = re.findall(r'\]\(([^)#:]+?)(?:#[^)]*)?\)', text)
    return [f'README.md: {link} leads nowhere' for link in links if not (top / link).exists()]


def check_figures(top: Path) -> list[str]:
    """Figures that are not what a reader without eyes, with a phone, or in the dark can use."""
    problems = []
    for file in sorted((top / 'docs').rglob('*.svg')):
        name = file.relative_to(top)
        try:
            root = ET.parse(file).getroot()
        except ET.ParseError as e:
            problems.append(f'{name}: {e}')
            continue
        tags = [element.tag.rpartition('}')[2] for element in root.iter()]
        problems += [f'{name}: has no {tag}' for tag in ('title', 'desc') if tag not in tags]
        if not root.get('viewBox'):
            problems.append(f'{name}: has no viewBox, so it cannot shrink')
        if 'image' in tags:
            problems.append(f'{name}: holds a pasted image')
    return problems


# Completeness

def machine_properties(qemu: Path, machine: str) -> dict[str, str]:
    """Names and descriptions that -M MACHINE,help lists."""
    run = subprocess.run([qemu, '-M', f'{machine},help'], stdout=subprocess.PIPE, text=True, check=True)
    return dict(re.findall(r'^  ([^=\s]+)=(.*)$', run.stdout, re.MULTILINE))


def check_names(what: str, real: set[str], told: set[str]) -> list[str]:
    return ([f'the manual does not tell about the {what} {name}' for name in sorted(real - told)] +
            [f'the manual tells about the {what} {name}, which does not exist' for name in sorted(told - real)])


def device_properties(qemu: Path) -> set[str]:
    """DEVICE.PROPERTY of each device of ours, without what every PCI device has."""
    def names(device: str) -> set[str]:
        run = subprocess.run([qemu, '-device', f'{device},help'], stdout=subprocess.PIPE, text=True, check=True)
        return set(re.findall(r'^  ([^=\s]+)=', run.stdout, re.MULTILINE))

    run = subprocess.run([qemu, '-device', 'help'], stdout=subprocess.PIPE, text=True, check=True)
    every = names('pci-testdev')
    return {f'{device}.{name}' for device in re.findall(r'^name "(nfv-[^"]+)"', run.stdout, re.MULTILINE)
            for name in names(device) - every}


def check_properties(top: Path, html: Path, qemu: Path) -> list[str]:
    """Properties of -M nfv that -M q35 does not have; those of the migration object are among them."""
    told = set(json.loads((html / 'names.json').read_text())['nfv-property'])
    real = set(machine_properties(qemu, 'nfv')) - set(machine_properties(qemu, 'q35'))
    # What is for tests is not for a user.
    real = {name for name in real if not name.startswith('x-')}
    page = top / 'docs/man/qemu-nfv.7.rst'
    words = set(re.findall(r'[a-z][a-z-]+', page.read_text()))
    return (check_names('property', real | device_properties(qemu), told) +
            [f'{page.name} does not tell about {name}' for name in sorted(real)
             if not {name, name.removeprefix('migration-')} & words])


def check_traces(top: Path, html: Path) -> list[str]:
    told = set(json.loads((html / 'names.json').read_text())['nfv-trace'])
    real = {name for file in top.glob('*/**/trace-events') if 'nfv' in file.parts and 'qemu' not in file.parts
            and not any(part.startswith('build') for part in file.relative_to(top).parts)
            for name in re.findall(r'^(nfv_\w+)\(', file.read_text(), re.MULTILINE)}
    return check_names('trace event', real, told)


def check_schema(top: Path) -> list[str]:
    """Commands and events of qapi/nfv.json that no page names."""
    text = ''.join(file.read_text() for file in (top / 'docs').rglob('*.rst'))
    names = re.findall(r"\{ '(?:command|event)': '([^']+)'", (top / 'qapi/nfv.json').read_text())
    return [f'no page names {name}' for name in names if name not in text]


def help_of(command: list[str | Path]) -> str:
    """What it says with --help, its subcommands included."""
    # Wide, so that no option is divided at a hyphen.
    run = subprocess.run([*command, '--help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
                         env={**os.environ, 'COLUMNS': '1000'})
    listed = re.search(r'^positional arguments:\n(.*?)(?:\n\n|\Z)', run.stdout, re.MULTILINE | re.DOTALL)
    names = re.findall(r'^    ([a-z-]+)(?: |$)', listed[1] if listed else '', re.MULTILINE)
    return run.stdout + ''.join(help_of([*command, name]) for name in names)


def check_manual_page(tool: list[str | Path], page: Path) -> list[str]:
    """Options that the tool shows with --help, and its manual page does not."""
    if not page.exists():
        return [f'{page.name} is missing']
    options = set(re.findall(r'(?<![\w-])(--[a-z][a-z0-9-]*)', help_of(tool))) - {'--help'}
    text = page.read_text()
    return [f'{page.name} does not tell about {option}' for option in sorted(options)
            if not re.search(rf'(?<![\w-]){option}(?![\w-])', text)]


# Commands

class Commands:
    """Runs the commands of a page in one directory, one after the other, as a reader would."""

    def __init__(self, top: Path, slow: bool, tap: Tap) -> None:
        self.top, self.slow, self.tap = top, slow, tap

    def page(self, page: str, blocks: list[dict]) -> None:
        with tempfile.TemporaryDirectory(prefix='nfv-docs.') as directory:
            for block in blocks:
                first = block['text'].splitlines()[0]
                name = f'{page}.rst:{block["line"]}: {first}'
                why = self.obstacle(block['classes'])
                if why:
                    self.tap.skip(name, why)
                else:
                    self.tap.result(name, self.run(block, Path(directory)))
            end_children()

    def obstacle(self, classes: list[str]) -> str | None:
        if 'slow' in classes and not self.slow:
            return 'slow: only in check-full'
        for name in (c.removeprefix('needs-') for c in classes if c.startswith('needs-')):
            if name in NEEDS:
                missing = NEEDS[name](self.top)
            else:
                missing = None if shutil.which(name) else f'the program {name}'
            if missing:
                return f'needs {missing}'
        return None

    def run(self, block: dict, directory: Path) -> list[str]:
        classes = block['classes']
        wanted = next((int(c.removeprefix('exit-')) for c in classes if c.startswith('exit-')), 0)
        patience = PATIENCE['slow' in classes]
        # A make in a command is not part of the one that runs this.
        outer = {name: value for name, value in os.environ.items() if not name.startswith(('MAKE', 'MFLAGS'))}
        env = {**outer, 'TMPDIR': str(directory), 'LC_ALL': 'C.UTF-8', 'CLONE': str(self.top),
               'PYTHONDONTWRITEBYTECODE': '1',
               'PATH': f'{self.top}/build:{self.top}/tools:{self.top}/qemu/scripts/qmp:{os.environ["PATH"]}'}
        shell = subprocess.Popen(['sh', '-e', '-c', block['text']], env=env, text=True, errors='replace',
                                 cwd=self.top if 'tree' in classes else directory, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output = shell.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            return [shell.communicate()[0], f'not done after {patience} s']
        if shell.returncode != wanted:
            return [output, f'exit status {shell.returncode}, not {wanted}']
        missing = difference(block['output'], output) if 'output' in block else None
        return [f'printed:\n{output}\nwhich lacks what the page shows: {missing}'] if missing else []


def children() -> list[int]:
    return [int(pid) for pid in Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()]


def end_children() -> None:
    """What a command left in the background has become a child of ours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in children():
            os.kill(pid, number)
        deadline = time.monotonic() + 10
        while children() and time.monotonic() < deadline:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            time.sleep(0.05)


def check_commands(top: Path, html: Path, slow: bool, tap: Tap, only: str | None) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for page, blocks in json.loads((html / 'commands.json').read_text()).items():
        if only in (None, page):
            Commands(top, slow, tap).page(page, blocks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--slow', action='store_true', help='run also the commands that are marked slow')
    parser.add_argument('--keep', type=Path, metavar='DIR', help='build the manual there, and keep it')
    parser.add_argument('--page', help='run only the commands of this page, such as user/migration')
    parser.add_argument('top', type=Path)
    args = parser.parse_args()
    top = args.top.resolve()
    if not find_spec('sphinx') or not find_spec('furo'):
        print('1..0 # SKIP Sphinx or its theme furo is missing: sh scripts/deps.sh docs')
        return 0
    tap = Tap()
    qemu = top / 'build/qemu-system-x86_64'
    with tempfile.TemporaryDirectory(prefix='nfv-manual.') as temporary:
        out = args.keep or Path(temporary)
        problems = build(top, 'html', out)
        tap.result('the manual is built without a warning', problems)
        html = out / 'html'
        if not (html / 'commands.json').exists():
            print(f'1..{tap.number}')
            return 1
        if not args.page:
            if (top / 'docs/man').is_dir():
                tap.result('the manual pages are built without a warning', build(top, 'man', out))
            tap.result('links within the manual lead somewhere, and nothing is loaded from elsewhere',
                       check_links(html))
            tap.result('links of README.md lead somewhere', check_readme(top))
            tap.result('figures can be read by everybody', check_figures(top))
            tap.result('each property is told about', check_properties(top, html, qemu))
            tap.result('each trace event is told about', check_traces(top, html))
            tap.result('each QMP command and event is told about', check_schema(top))
            for tool in sorted((top / 'tools').glob('nfv-*')):
                tap.result(f'the manual page of {tool.name} tells about each option',
                           check_manual_page([sys.executable, tool], top / f'docs/man/{tool.name}.1.rst'))
        check_commands(top, html, args.slow, tap, args.page)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
