// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <time.h>

#include "stall.h"

#define NSEC_PER_MSEC 1000000ULL

u64 stall_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ULL + (u64)ts.tv_nsec;
}

void stall_start(struct stall *st, unsigned int limit_ms)
{
	st->limit_ns = limit_ms * NSEC_PER_MSEC;
	st->since_ns = stall_now_ns();
	st->seen = 0;
}

void stall_note(struct stall *st, u64 progress)
{
	if (progress == st->seen)
		return;
	st->seen = progress;
	st->since_ns = stall_now_ns();
}

bool stall_over(const struct stall *st)
{
	return stall_now_ns() - st->since_ns >= st->limit_ns;
}

int stall_left_ms(const struct stall *st)
{
	u64 gone = stall_now_ns() - st->since_ns;

	if (gone >= st->limit_ns)
		return 0;
	return (int)((st->limit_ns - gone) / NSEC_PER_MSEC) + 1;
}

void stall_breathe(void)
{
	sched_yield();
}
