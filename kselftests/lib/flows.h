/* SPDX-License-Identifier: GPL-2.0-only */
/* Several senders at once: each is a flow, told apart by its port. */
#ifndef KSERIES_FLOWS_H
#define KSERIES_FLOWS_H

#include "frame.h"
#include "types.h"

#define FLOWS_MAX 16
#define FLOWS_PORT 41000

struct flows {
	bool ether;
	u16 tail;
	u32 cookie;
	unsigned int n;
	u64 frames;	/* of all the flows */
	u64 stray;		/* of none of them */
	u8 *times;		/* see flows_mark() */
	u64 n_times;
	struct tally tally[FLOWS_MAX];
};

void flows_start(struct flows *fl, unsigned int n, bool ether, u32 cookie);
/* What is behind each frame, after flows_start(): see struct frame. */
void flows_tail(struct flows *fl, u16 tail);
/* Count in @times, which several may share, how often each of @n numbers comes. */
void flows_mark(struct flows *fl, u8 *times, u64 n);
void flows_frame(struct flows *fl, const void *buf, size_t len);
/* As listener_collect(), one tally a flow. */
void flows_collect(struct flows *fl, struct listener *l);
/* How many of the numbers that are counted came more than once, to any who share @times. */
u64 flows_twice(const struct flows *fl);
u64 flows_missing(const struct flows *fl);
u64 flows_repeated(const struct flows *fl);

#endif
