# Forwards to the build tree and adds the verbs of this repository; `make help` lists them.
#
# Copyright (c) 2026 the kvm4nfv authors
# SPDX-License-Identifier: GPL-2.0-or-later

CONFIGURE_ARGS ?=
NINJA := ninja $(if $(V),-v)
MESON := build/pyvenv/bin/meson
PYTHON := build/pyvenv/bin/python3
# The tests of ours in QEMU's build.
OURS := build:test-nfv-*,qtest-x86_64/nfv-*

# What `make bench` measures.
BENCH ?= migrate
BENCH_ARGS ?=
# How `make soak` goes.
SOAK_ARGS ?=

# The Python that has Debian's packages.
SPHINX := $(or $(wildcard /usr/bin/python3),python3) -m sphinx -E -W --keep-going -q -d build/docs/doctrees

.PHONY: all help configured stock tree guest run bench soak docs docs-tools bench-tools browser-tools stress-guest packet-guest \
	check check-full check-upstream check-patches refresh rebase \
	install clean distclean

all: configured
	+$(NINJA) -C build

help:
	@echo 'make                 obtain QEMU, configure and build it in build/'
	@echo 'make run             boot a real-time guest on -M nfv, measure it, migrate it while it runs'
	@echo '                     (ACCEL=kvm|tcg KERNEL= INITRD= RUN_ARGS="QEMU arguments")'
	@echo 'make bench           measure beside stock QEMU (BENCH=migrate|timer|interrupt|packet|all BENCH_ARGS=;'
	@echo '                     see tools/nfv-bench --help)'
	@echo 'make soak            migrate one guest 200 times, in every way, and look for leaks (SOAK_ARGS=, see tools/nfv-soak --help)'
	@echo 'make check           every test of ours; check-full: also the slow ones'
	@echo 'make check-upstream  the unit tests and qtests of QEMU itself on our binary'
	@echo 'make docs            the manual in build/docs/html, and the man pages in build/docs/man'
	@echo 'make check-patches   lint patches/'
	@echo 'make stock           build the same QEMU without our patches and files in build-stock/'
	@echo 'make install         DESTDIR= as usual; runs with the firmware packages of the host'
	@echo 'make dist            one tarball that builds without network, in dist/; deb: Debian packages, in dist/deb/'
	@echo 'make refresh         write the commits of qemu/ back to patches/'
	@echo 'make rebase TO=X     move patches/ to the point release X (or a directory or tarball of it)'
	@echo 'make release TEXT=X  the next version in the changelogs of the packages'
	@echo 'make clean           remove objects; distclean: also the assembled source and build directories'
	@echo 'Other goals go to build/, as in QEMU (check-qtest, check-unit, ...).'

# Configures once, and keeps qemu/ in step with patches/ and our files later.
configured:
	@if [ -f build/build.ninja ] && [ -s qemu/.base ]; then sh scripts/source.sh; \
	else ./configure $(CONFIGURE_ARGS); fi

stock: configured
	@[ -f build-stock/build.ninja ] && cmp -s build-stock/.base build/.base && \
		[ -L qemu-stock/hw/misc/nfv-pulse.c ] || \
		./configure --stock --no-install-deps $(CONFIGURE_ARGS)
	+$(NINJA) -C build-stock qemu-system-x86_64 qemu-img

# Tests that QEMU's build does not know.
tree: configured
	@[ -f build/nfv/build.ninja ] || $(MESON) setup build/nfv > /dev/null
	+@ninja -C build/nfv --quiet

# The real-time Linux guest, out of Debian packages; not where both of its files are given.
guest: configured
	@$(if $(and $(KERNEL),$(INITRD)),:,sh guest/build.sh build/guest)

run: all guest
	@$(PYTHON) tools/nfv-run --qemu build/qemu-system-x86_64 --kernel '$(or $(KERNEL),build/guest/vmlinuz)' \
		--initrd '$(or $(INITRD),build/guest/initrd.gz)' --accel $(or $(ACCEL),auto) -- $(RUN_ARGS)

bench: all stock tree guest packet-guest bench-tools
	@$(PYTHON) tools/nfv-bench $(BENCH) $(BENCH_ARGS)

soak: all tree
	@$(PYTHON) tools/nfv-soak $(SOAK_ARGS)

docs-tools:
	@sh scripts/deps.sh docs

docs: docs-tools
	@mkdir -p build/docs
	@$(SPHINX) -b html docs build/docs/html
	@[ ! -d docs/man ] || $(SPHINX) -b man docs build/docs/man
	@echo 'open build/docs/html/index.html, or man -l build/docs/man/nfv-bench.1'

# What nfv-bench and its tests call.
bench-tools:
	@sh scripts/deps.sh bench

browser-tools:
	@sh scripts/deps.sh browser

# The test guest with stress-ng in it.
stress-guest: guest packet-guest
	@sh guest/stress.sh build/guest

# The guest that forwards frames, and what nfv-bench packet calls on the host.
packet-guest: guest
	@sh scripts/deps.sh packet
	@sh guest/dpdk.sh build/guest

check: all stock tree guest packet-guest docs-tools bench-tools
	@$(PYTHON) scripts/run-tests.py build/nfv $(OURS)

check-full: all stock tree guest packet-guest stress-guest docs-tools bench-tools browser-tools deb
	@$(PYTHON) scripts/run-tests.py --setup slow build/nfv $(OURS)

check-upstream: all stock
	@$(PYTHON) scripts/run-tests.py --stock build-stock --suite unit --suite qtest build

check-patches:
	@[ -s qemu/.base ] || sh scripts/source.sh
	@python3 scripts/check-patches.py .

refresh rebase: configured
refresh:
	@sh scripts/queue.sh refresh
rebase:
	@sh scripts/rebase.sh '$(TO)'

install: all
	+DESTDIR='$(DESTDIR)' $(MESON) install -C build --no-rebuild --quiet

.PHONY: dist deb release
dist: configured
	@sh scripts/dist.sh

deb: configured
	@sh scripts/deps.sh deb
	@sh scripts/deb.sh

release:
	@sh scripts/release.sh '$(TEXT)'

clean:
	[ ! -f build/build.ninja ] || $(NINJA) -C build clean

distclean:
	@[ ! -s qemu/.base ] || sh scripts/queue.sh clean
	rm -rf qemu qemu.new qemu-stock build build-stock dist

Makefile: ;
%: configured
	+$(MAKE) -C build $@
