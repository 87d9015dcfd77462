/* SPDX-License-Identifier: GPL-2.0-only */
/* A stall is a time without progress, on the guest's own monotonic clock. */
#ifndef KSERIES_STALL_H
#define KSERIES_STALL_H

#include "types.h"

struct stall {
	u64 limit_ns;
	u64 since_ns;
	u64 seen;
};

u64 stall_now_ns(void);
void stall_start(struct stall *st, unsigned int limit_ms);
/* Any change of @progress counts as life and restarts the clock. */
void stall_note(struct stall *st, u64 progress);
bool stall_over(const struct stall *st);
/* What is left, as a timeout for poll(): never 0 before the stall is over. */
int stall_left_ms(const struct stall *st);
/* Between two looks at something that another context changes. */
void stall_breathe(void);

#endif
