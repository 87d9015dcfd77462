/* SPDX-License-Identifier: GPL-2.0-only */
/* KTAP on stdout: a plan, results, figures, and one way to give up. */
#ifndef KSERIES_KTAP_H
#define KSERIES_KTAP_H

#include "types.h"

enum ktap_status {
	KTAP_PASS = 0,
	KTAP_FAIL = 1,
	KTAP_TROUBLE = 2,
	KTAP_SKIP = 4,
};

/* Must come before the first result: a run that is cut off then shows. */
void ktap_plan(unsigned int count);
bool ktap_ok(bool pass, const char *fmt, ...) __printf(2, 3);
/* "not ok" that no plan has, and that is only said when it is so. */
void ktap_unplanned(const char *fmt, ...) __printf(1, 2);
void ktap_skip(const char *reason, const char *fmt, ...) __printf(2, 3);
/* Results that an earlier one has made meaningless. */
void ktap_skip_rest(const char *reason);
/* @unit may be NULL; @name is lower_snake_case. */
void ktap_figure(const char *name, long long value, const char *unit);
void ktap_diag(const char *fmt, ...) __printf(1, 2);
bool ktap_failed(void);
/* Setup trouble: no verdict on the kernel, exit status 2. */
void ktap_bail(const char *fmt, ...) __printf(1, 2) __noreturn;
/* The exit status that the results so far add up to. */
int ktap_status(void);

#endif
