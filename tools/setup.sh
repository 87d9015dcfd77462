#!/bin/sh
# Installs what `make run` and `make test` need: the system packages of packages.txt, the kernel
# source package where the distribution has it, and a virtual environment. Quick when all is there.
set -eu
cd "$(dirname "$0")/.."

source_package=linux-source-6.12
needed_mib=$(sed -n 's/^NEEDED_MIB = //p' plugin/kseries/cache.py)

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

packages=$(sed 's/#.*//' packages.txt | tr -s '\n' ' ')

missing_packages() {
	for package in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			printf '%s ' "$package"
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root for: $* (no sudo here; run it as root once)"
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

# Python of a version manager needs no python3 packages; what counts is that it can make a venv.
python_works() {
	python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

install_with_apt() {
	wanted=$packages
	if python_works; then
		wanted=$(printf '%s' "$wanted" | sed 's/python3-venv//; s/python3//')
	fi
	# shellcheck disable=SC2086 # words of a list
	missing=$(missing_packages $wanted)
	[ -e /usr/src/$source_package.tar.xz ] || missing="$missing $source_package"
	[ -n "${missing# }" ] || return 0
	if [ "${missing# }" = "$source_package" ] && [ -e .venv/.no-source-package ]; then
		return 0
	fi
	say "apt-get update"
	apt update
	case $missing in *"$source_package"*)
		if [ -z "$(apt-cache madison $source_package)" ]; then
			say "this distribution has no $source_package: make run takes a release instead"
			missing=${missing%"$source_package"}
			mkdir -p .venv && touch .venv/.no-source-package
		fi
	esac
	[ -n "${missing# }" ] || return 0
	say "installing: $missing"
	# shellcheck disable=SC2086 # words of a list
	apt install -y --no-install-recommends $missing
}

name_what_is_missing() {
	missing=
	for tool in bc ld bison flex gcc git depmod make perl xz qemu-system-x86_64 spin; do
		command -v "$tool" >/dev/null || PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null ||
			missing="$missing $tool"
	done
	python_works || missing="$missing python3(3.11 or later, with venv)"
	[ -z "$missing" ] || die "no apt-get here, and these are missing:$missing." \
		"Install them with your distribution's tools (packages.txt has the Debian names)," \
		"with the headers of libc (static) and libelf, then try again."
}

cache=${KSERIES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pytest-kseries}
if [ ! -d "$cache/images" ]; then
	mkdir -p "$cache"
	free=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$needed_mib" ] ||
		die "$cache has $free MiB free, a first run needs $needed_mib MiB:" \
			"free some, or set KSERIES_CACHE to a folder on another disk"
fi

if command -v apt-get >/dev/null; then
	install_with_apt
else
	name_what_is_missing
fi
python_works || die "python3 is $(python3 --version 2>&1): 3.11 or later with venv is needed"

if [ ! -e .venv/.installed ] || [ pyproject.toml -nt .venv/.installed ]; then
	say "making the virtual environment .venv"
	python3 -m venv .venv
	.venv/bin/pip install --progress-bar off --disable-pip-version-check -e '.[dev]'
	touch .venv/.installed
fi
