"""Checks of a host for network functions; each is a pure function over a tree of /sys and /proc."""
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later
