// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "flows.h"

void flows_start(struct flows *fl, unsigned int n, bool ether, u32 cookie)
{
	unsigned int i;

	memset(fl, 0, sizeof(*fl));
	fl->n = n;
	fl->ether = ether;
	fl->cookie = cookie;
	for (i = 0; i < n; i++)
		tally_start(&fl->tally[i], ether, cookie);
}

void flows_tail(struct flows *fl, u16 tail)
{
	unsigned int i;

	fl->tail = tail;
	for (i = 0; i < fl->n; i++)
		fl->tally[i].tail = tail;
}

void flows_mark(struct flows *fl, u8 *times, u64 n)
{
	fl->times = times;
	fl->n_times = n;
}

void flows_frame(struct flows *fl, const void *buf, size_t len)
{
	struct frame f = {
		.ether = fl->ether,
		.cookie = fl->cookie,
		.tail = fl->tail,
	};
	unsigned int i;

	i = frame_parse(buf, len, &f) ? (unsigned int)f.port - FLOWS_PORT : fl->n;
	if (i >= fl->n) {
		fl->stray++;
		return;
	}
	tally_frame(&fl->tally[i], buf, len);
	if (f.seq < fl->n_times)
		__atomic_add_fetch(&fl->times[f.seq], 1, __ATOMIC_RELAXED);
	/* Other threads watch this number grow. */
	__atomic_store_n(&fl->frames, fl->frames + 1, __ATOMIC_RELEASE);
}

void flows_collect(struct flows *fl, struct listener *l)
{
	char buf[FRAME_MAX];
	ssize_t len;

	while ((len = listener_next(l, buf, sizeof(buf))) >= 0)
		flows_frame(fl, buf, (size_t)len);
}

u64 flows_twice(const struct flows *fl)
{
	u64 i, twice = 0;

	for (i = 0; i < fl->n_times; i++)
		twice += fl->times[i] > 1;
	return twice;
}

u64 flows_missing(const struct flows *fl)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < fl->n; i++)
		sum += fl->tally[i].missing;
	return sum;
}

u64 flows_repeated(const struct flows *fl)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < fl->n; i++)
		sum += fl->tally[i].repeated;
	return sum;
}
