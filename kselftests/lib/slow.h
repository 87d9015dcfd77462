/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slow one function of the kernel down, for the calling thread alone: that makes
 * the time between two of its instructions long enough for another CPU to act.
 *
 * It takes nothing but breakpoints that are never met. An emulated CPU (QEMU's
 * TCG) takes the code of a page in which it has one an instruction at a time.
 * Elsewhere this changes nothing.
 */
#ifndef KSERIES_SLOW_H
#define KSERIES_SLOW_H

#include "types.h"

#define SLOW_PAGES 2

struct slow {
	int fd[SLOW_PAGES];
	bool on;
};

/* Where a function of the kernel is; 0 if there is none of that name. */
u64 slow_symbol(const char *name);
/*
 * For the thread that calls this, the code from @addr on; off to begin with.
 * False where that cannot be had, and the rest does nothing.
 */
bool slow_open(struct slow *s, u64 addr);
void slow_set(struct slow *s, bool on);
void slow_close(struct slow *s);

#endif
