/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stall is a time without progress, on the guest's own monotonic clock. A
 * busy host can stop the guest while that clock goes on: what passes between
 * two looks counts only up to a limit, so look often.
 */
#ifndef KSERIES_STALL_H
#define KSERIES_STALL_H

#include "types.h"

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

struct stall {
	u64 limit_ns;
	u64 spent_ns;
	u64 looked_ns;
	u64 seen;
};

u64 stall_now_ns(void);
void stall_start(struct stall *st, unsigned int limit_ms);
/* Any change of @progress counts as life and restarts the clock. */
void stall_note(struct stall *st, u64 progress);
bool stall_over(struct stall *st);
/* A timeout for poll() until the next look; 0 only when the stall is over. */
int stall_left_ms(const struct stall *st);
/* Between two looks at something that another context changes. */
void stall_breathe(void);
/* The same, off the CPU; less where a signal comes. */
void stall_nap(u64 ns);

#endif
