"""A tuned profile that brings about what the checks want."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Iterable

from .finding import Finding
from .mend import Boot, Sysctl, Sysfs
from .target import Target

MARK = '# Written by nfv-host-check --tuned'


def boot_words(findings: Iterable[Finding]) -> list[str]:
    """What a profile may set without asking, each once, in order."""
    words = [word for finding in findings for mend in finding.mend if isinstance(mend, Boot) and mend.auto
             for word in mend.text.split()]
    return list(dict.fromkeys(words))


def profile(target: Target, findings: Iterable[Finding]) -> str:
    """All that was judged, be it as wanted or not, so that the profile keeps a host that is tuned as it is."""
    findings = list(findings)
    mends = [mend for finding in findings for mend in finding.mend]
    sysctl = {mend.text: mend.value for mend in mends if isinstance(mend, Sysctl)}
    # tuned's plugin takes no file outside /sys.
    sysfs = {mend.text: mend.value for mend in mends if isinstance(mend, Sysfs) and mend.text.startswith('/sys/')}
    return '\n'.join([
        f'{MARK}: host CPUs {target.guests} for guests, {target.others} for everything else.',
        '', '[main]', f'summary=kvm4nfv host: CPUs {target.guests} for guests',
        '', '[cpu]', 'governor=performance', 'energy_perf_bias=performance', 'min_perf_pct=100', 'force_latency=cstate.id:1|10',
        '', '[irqbalance]', f'banned_cpus={target.guests}',
        '', '[sysctl]', *(f'{name}={value}' for name, value in sysctl.items()),
        '', '[sysfs]', *(f'{path}={value}' for path, value in sysfs.items()),
        '', '[bootloader]', f'cmdline_nfv=+{" ".join(boot_words(findings))}', ''])


def write(directory: str, text: str) -> Path:
    """Directory/tuned.conf. ValueError if a file is there that somebody else wrote."""
    path = Path(directory) / 'tuned.conf'
    if path.exists() and not path.read_text().startswith(MARK):
        raise ValueError(f"'{path}' is not of nfv-host-check and stays; name another directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
