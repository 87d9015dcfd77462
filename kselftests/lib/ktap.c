// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ktap.h"
#include "stall.h"

static unsigned int planned, done, failed, skipped;
static u64 began_ns;

/* Setting up is part of what a case costs: start with the program. */
static void KST_ATTR(constructor) note_start(void)
{
	began_ns = stall_now_ns();
}

void ktap_plan(unsigned int count)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	planned = count;
	printf("KTAP version 1\n1..%u\n", count);
}

bool ktap_ok(bool pass, const char *fmt, ...)
{
	va_list ap;

	if (!pass)
		failed++;
	printf("%s %u ", pass ? "ok" : "not ok", ++done);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	return pass;
}

void ktap_unplanned(const char *fmt, ...)
{
	va_list ap;

	failed++;
	printf("not ok %u ", done + 1);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void ktap_skip(const char *reason, const char *fmt, ...)
{
	va_list ap;

	skipped++;
	printf("ok %u ", ++done);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" # SKIP %s\n", reason);
}

void ktap_skip_rest(const char *reason)
{
	while (done < planned)
		ktap_skip(reason, "not reached");
}

void ktap_figure(const char *name, long long value, const char *unit)
{
	if (unit)
		printf("# figure %s %lld %s\n", name, value, unit);
	else
		printf("# figure %s %lld\n", name, value);
}

void ktap_diag(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

bool ktap_failed(void)
{
	return failed > 0;
}

void ktap_bail(const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	exit(KTAP_TROUBLE);
}

int ktap_status(void)
{
	/* A program that lost count of its own results proves nothing. */
	if (done != planned)
		ktap_bail("%u results for a plan of %u", done, planned);
	ktap_figure("guest_time",
		    (long long)((stall_now_ns() - began_ns) / 1000), "us");
	if (failed)
		return KTAP_FAIL;
	return skipped == done ? KTAP_SKIP : KTAP_PASS;
}
