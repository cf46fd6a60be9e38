"""One migration of the soak: a way to go, and its adventures."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .progress import Progress
from .vm import Vm

# Bytes a second, so that there is the time to cancel a migration, or to break its link.
SLOW = 32 << 20
STEP_TIMEOUT = 120
ENDS = 'completed', 'failed', 'cancelled'


@dataclass(frozen=True)
class Way:
    """cancels: attempts that are cancelled first, to a destination that then ends; cuts: of the link, in post-copy."""

    name: str
    capabilities: tuple[str, ...] = ()
    postcopy: bool = False
    cancels: int = 0
    cuts: int = 0


POSTCOPY = 'postcopy-ram', 'postcopy-preempt'
WAYS = (
    Way('pre-copy'),
    Way('multifd', ('multifd',)),
    Way('post-copy', POSTCOPY, postcopy=True),
    Way('cancelled, then pre-copy', cancels=1),
    Way('multifd, then post-copy', ('multifd', *POSTCOPY), postcopy=True),
    Way('armed, not used', POSTCOPY),
    Way('post-copy, link cut', POSTCOPY, postcopy=True, cuts=1),
    Way('multifd, cancelled, then multifd', ('multifd',), cancels=1),
    Way('post-copy, link cut twice', POSTCOPY, postcopy=True, cuts=2),
)


class Hop:
    """From one QEMU to another that waits for it; `uri` is a new socket's."""

    def __init__(self, way: Way, source: Vm, destination: Vm, uri: str, progress: Progress):
        self.way, self.source, self.destination, self.uri = way, source, destination, uri
        self.progress = progress

    def begin(self, slowly: bool) -> None:
        known = {'return-path', 'multifd', *POSTCOPY}
        capabilities = [{'capability': name, 'state': name == 'return-path' or name in self.way.capabilities}
                        for name in sorted(known)]
        for vm in (self.source, self.destination):
            vm.qmp('migrate-set-capabilities', capabilities=capabilities)
            vm.qmp('migrate-set-parameters', **{'max-bandwidth': SLOW if slowly else 0, 'downtime-limit': 300,
                                                'max-postcopy-bandwidth': SLOW if self.way.cuts else 0})
        self.destination.qmp('migrate-incoming', uri=self.uri)
        self.source.qmp('migrate', uri=self.uri)

    def status(self, vm: Vm) -> str:
        return vm.qmp('query-migrate').get('status', '')

    def wait(self, vm: Vm, *wanted: str) -> str:
        found = ''

        def reached() -> bool:
            nonlocal found
            self.progress.sleep(0.05)
            found = self.status(vm)
            if found in ENDS and found not in wanted:
                why = vm.qmp('query-migrate').get('error-desc', '')
                raise vm.failure(f'ended its migration as {found} instead of {" or ".join(wanted)}: {why}')
            return found in wanted

        vm.wait(f'reach {" or ".join(wanted)}', reached, STEP_TIMEOUT)
        return found

    def cancel(self) -> None:
        """An attempt that is cancelled on its way; the destination ends of itself."""
        self.begin(slowly=True)
        self.wait(self.source, 'active')
        self.progress.sleep(0.3)
        self.source.qmp('migrate_cancel')
        # QEMU shuts the return path down before it says that it cancels, so it may look like a failure.
        self.wait(self.source, 'cancelled', 'failed')

    def go(self) -> dict[str, Any]:
        """What query-nfv-migration of the source says in the end. The guest runs on the destination then."""
        self.begin(slowly=self.way.postcopy)
        if self.way.postcopy:
            self.wait(self.source, 'active')
            self.progress.sleep(0.3)
            self.source.qmp('migrate-start-postcopy')
        for number in range(self.way.cuts):
            self._cut(number)
        if self.way.postcopy:
            self.source.qmp('migrate-set-parameters', **{'max-bandwidth': 0, 'max-postcopy-bandwidth': 0})
        self.wait(self.source, 'completed')
        self.wait(self.destination, 'completed')
        return self.source.qmp('query-nfv-migration')

    def _cut(self, number: int) -> None:
        self.wait(self.source, 'postcopy-active')
        self.wait(self.destination, 'postcopy-active')
        self.source.qmp('yank', instances=[{'type': 'migration'}])
        for vm in (self.source, self.destination):
            self.wait(vm, 'postcopy-paused')
        uri = f'{self.uri}.{number}'
        self.destination.qmp('migrate-recover', uri=uri)
        self.source.qmp('migrate', uri=uri, resume=True)
