#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs each program with its defaults, as root, and says in KTAP what came of
# it, as the kernel's own tools/testing/selftests do. It fails when one does.
#
#   run_tests.sh FOLDER SECONDS PROGRAM...
folder=$1
limit=$2
shift 2

echo "KTAP version 1"
echo "1..$#"
number=0
failed=0
for program in "$@"; do
	number=$((number + 1))
	name="selftests: kseries: $program"
	echo "# $name"
	# The status is that of the program, not of what indents its words.
	status=$({ {
		timeout --kill-after=5 "$limit" "$folder/$program" 2>&1 3>&-
		echo $? >&3
	} | sed 's/^/  /' >&4; } 3>&1) 4>&1
	case $status in
	0) echo "ok $number $name" ;;
	4) echo "ok $number $name # SKIP" ;;
	124)
		echo "not ok $number $name # TIMEOUT $limit seconds"
		failed=1
		;;
	*)
		echo "not ok $number $name # exit=$status"
		failed=1
		;;
	esac
done
exit $failed
