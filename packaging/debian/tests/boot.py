"""The probe guest boots on -M nfv under the installed QEMU, and finds all of its memory right."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from pathlib import Path
import json
import subprocess
import sys
import tempfile

SHARE = Path('/usr/share/qemu-nfv')
sys.path[:0] = [str(SHARE / 'tools'), str(SHARE / 'qemu/python')]

# pylint: disable=wrong-import-position
from nfv import answer  # noqa: E402
from nfv.guest import Probe  # noqa: E402
from nfv.progress import Progress  # noqa: E402
from nfv.vm import Vm  # noqa: E402

QEMU = '/usr/bin/qemu-system-x86_64-nfv'
TIMEOUT = 120


def main() -> int:
    probe = Probe('/usr/lib/qemu-nfv/guest/probe')
    with tempfile.TemporaryDirectory() as directory:
        vm = Vm('probe', Path(directory), Progress())
        try:
            vm.start([QEMU, '-M', 'nfv', '-accel', 'tcg', '-cpu', 'max', '-m', '64', '-device', 'virtio-net-pci',
                      *probe.arguments()], TIMEOUT)
            pages = probe.pages(vm.expect('ready', TIMEOUT)[-1])
            memory = answer.memory(vm.ask('verify', 'verify', TIMEOUT)[-1], pages)
            machine = vm.qmp('query-nfv')
        finally:
            vm.end()
    print(f'memory: {memory}; machine: {machine["machine"]}')
    check = subprocess.run(['nfv-host-check', '--json'], stdout=subprocess.PIPE, check=False)
    print(f'host: {json.loads(check.stdout)["summary"]}')
    return 0 if memory.intact and check.returncode in (0, 1) else 1


if __name__ == '__main__':
    sys.exit(main())
