// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <time.h>

#include "stall.h"

#define LOOK_MS 50
/* Twice that, for a look that is late without anything being wrong. */
#define LOOK_MAX_NS (2 * LOOK_MS * NSEC_PER_MSEC)

u64 stall_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

void stall_start(struct stall *st, unsigned int limit_ms)
{
	st->limit_ns = limit_ms * NSEC_PER_MSEC;
	st->spent_ns = 0;
	st->looked_ns = stall_now_ns();
	st->seen = 0;
}

void stall_note(struct stall *st, u64 progress)
{
	if (progress == st->seen)
		return;
	st->seen = progress;
	st->spent_ns = 0;
	st->looked_ns = stall_now_ns();
}

bool stall_over(struct stall *st)
{
	u64 now = stall_now_ns();

	st->spent_ns += min_t(u64, now - st->looked_ns, LOOK_MAX_NS);
	st->looked_ns = now;
	return st->spent_ns >= st->limit_ns;
}

int stall_left_ms(const struct stall *st)
{
	u64 left;

	if (st->spent_ns >= st->limit_ns)
		return 0;
	left = (st->limit_ns - st->spent_ns) / NSEC_PER_MSEC + 1;
	return (int)min_t(u64, left, LOOK_MS);
}

void stall_breathe(void)
{
	sched_yield();
}

void stall_nap(u64 ns)
{
	const struct timespec span = {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (long)(ns % NSEC_PER_SEC),
	};

	nanosleep(&span, NULL);
}
