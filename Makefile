# SPDX-License-Identifier: GPL-3.0-or-later
# Thin names for the commands that people type. Each needs Python 3.11 or newer, and installs the rest by itself.

.PHONY: help demo demo-down test lint docs bench clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make demo        a fresh Debian 13 host, the whole site, and a call of two browsers on it (as root);
##                  with AUTH=jwt, of a teacher and a student with tokens; with RECORD=1, a second host records it
demo:
	@python3 tests/demo.py up $(if $(AUTH),--auth $(AUTH)) $(if $(RECORD),--record)

## make demo-down   remove all that the demo made
demo-down:
	@python3 tests/demo.py down

## make test        everything that CI runs (as root)
test:
	@python3 tests/all.py

## make lint        the checks that need no host
lint:
	@python3 tests/all.py --only lint

## make docs        write the tables of variables into the roles' READMEs
docs:
	@python3 tests/tool.py docs

## make bench       measure, and write docs/benchmarks.md (as root)
bench:
	@python3 tests/tool.py bootstrap test
	@.venv/bin/python tests/benchmarks/run.py

## make clean       remove what the others built, and all hosts of this checkout's labs
clean:
	@python3 tests/tool.py clean
