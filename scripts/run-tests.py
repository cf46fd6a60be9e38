#!/usr/bin/env python3
"""Run sets of Meson tests and close with one line that counts them all.

usage: run-tests.py [--setup NAME] [--suite NAME]... [--stock BUILDDIR] BUILDDIR[:PATTERN,PATTERN...] ...

With --stock, a test program that failed is built and run in that build of stock QEMU too, and is counted apart if it
fails there as well.

Copyright (c) 2026 the kvm4nfv authors
SPDX-License-Identifier: GPL-2.0-or-later
"""
import argparse
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

# Meson's time limits are for a machine with nothing else to do, and no test of ours judges a time.
PATIENCE = '4'
# What Meson says of a test program that did what it should.
FINE = {'OK', 'SKIP', 'EXPECTEDFAIL'}


def run_set(build, patterns, options, rebuild=False):
    """Run the tests of one build directory; the paths of Meson's log, of programs and of their tests."""
    meson = Path('build/pyvenv/bin/meson').resolve()
    log = f'{build}/meson-logs/testlog{"-" + options.setup if options.setup else ""}'
    logs = Path(f'{log}.json'), Path(f'{log}.junit.xml')
    for path in logs:
        path.unlink(missing_ok=True)
    command = [meson, 'test', '-C', build, '--print-errorlogs', '-t', PATIENCE]
    # Ours one at a time: the guest of one takes huge pages by default, also those that another has reserved.
    if not options.stock:
        command += ['--num-processes', '1']
    if not rebuild:
        command += ['--no-rebuild']
    if options.setup:
        command += ['--setup', options.setup]
    for suite in options.suite:
        command += ['--suite', suite]
    subprocess.run(command + patterns, check=False)
    return logs


def count(logs):
    """(passed, failed, skipped) counts and the names of failed test programs."""
    programs, junit = logs
    if not all(path.exists() for path in logs):
        return Counter(failed=1), {'(meson test itself)'}
    counts, with_case = Counter(), set()
    for suite in ET.parse(junit).getroot().iter('testsuite'):
        for case in suite.iter('testcase'):
            bad = case.find('failure') is not None or case.find('error') is not None
            counts['failed' if bad else 'skipped' if case.find('skipped') is not None else 'passed'] += 1
            if bad:
                with_case.add(program(suite, case))
    # One that died between its tests, or ran out of time, has no failed case of its own.
    results = [json.loads(line) for line in programs.read_text().splitlines()]
    failed = {r['name'].rsplit(' / ')[-1] for r in results if r['result'] not in FINE} | with_case
    counts['failed'] += len(failed - with_case)
    return counts, failed


def program(suite, case):
    """The Meson test that a case belongs to: programs with subtests are suites, others are cases of one suite."""
    name = suite.get('name', '')
    return (name.split('.', 1)[1] if '.' in name else case.get('name')).rsplit(' / ')[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--setup')
    parser.add_argument('--suite', action='append', default=[])
    parser.add_argument('--stock')
    parser.add_argument('sets', nargs='+')
    args = parser.parse_args()
    total, failures, alike = Counter(), [], set()
    for item in args.sets:
        build, _, patterns = item.partition(':')
        counts, failed = count(run_set(build, patterns.split(',') if patterns else [], args))
        if args.stock and failed:
            print(f'\nFailed here, and now run with stock QEMU: {", ".join(sorted(failed))}', flush=True)
            _, there = count(run_set(args.stock, sorted(failed), args, rebuild=True))
            alike |= failed & there
            failed -= there
        counts['failed'] = len(failed) if args.stock else counts['failed']
        total += counts
        failures += sorted(failed)
    print()
    for name in failures:
        print(f'FAILED: {name}')
    for name in sorted(alike):
        print(f'fails with stock QEMU too, not counted: {name}')
    print(f'{total["passed"]} passed, {total["failed"]} failed, {total["skipped"]} skipped')
    if not sum(total[s] for s in ('passed', 'failed')):
        print('No test was run.', file=sys.stderr)
        return 1
    return 1 if failures or total['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
