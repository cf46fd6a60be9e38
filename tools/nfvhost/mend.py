"""What mends a finding: the exact words for an administrator, in a form from which a profile can be made, too."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mend:
    """`text` is what is done; a subclass says where."""

    text: str

    def __str__(self) -> str:
        return self.text


class Command(Mend):
    """A command line for root."""


class Advice(Mend):
    """What no command can do: firmware settings, hardware."""


@dataclass(frozen=True)
class Boot(Mend):
    """Parameters of the host kernel's boot line; auto: a profile may set them without asking."""

    auto: bool = True

    def __str__(self) -> str:
        return f'boot the host with {self.text}'


@dataclass(frozen=True)
class Sysctl(Mend):
    """`text` is the sysctl's name."""

    value: str

    def __str__(self) -> str:
        return f'sysctl -w {self.text}={self.value}'


@dataclass(frozen=True)
class Sysfs(Mend):
    """`text` is the file's path."""

    value: str

    def __str__(self) -> str:
        return f'echo {self.value} > {self.text}'
