"""A file that all runs of ours on this host share: who they are, and what they have changed together."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from contextlib import contextmanager
import fcntl
import json
import os
from pathlib import Path
from typing import Any, Iterator


@contextmanager
def state(path: Path) -> Iterator[dict[str, Any]]:
    """Nobody else has it until exit, which writes it back, or removes it if `users` is empty.

    users: the process ids of those that are in it and still run; the rest is the caller's.
    """
    while True:
        with open(path, 'a+', encoding='ascii') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The last user removes the file; then the lock is one that nobody else will ever see.
            if not path.exists() or os.stat(file.fileno()).st_ino != path.stat().st_ino:
                continue
            file.seek(0)
            found = json.loads(file.read() or '{}')
            found['users'] = [pid for pid in found.get('users', []) if Path(f'/proc/{pid}').exists()]
            yield found
            if found['users']:
                file.seek(0)
                file.truncate()
                json.dump(found, file)
            else:
                path.unlink()
            return
