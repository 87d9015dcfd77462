// SPDX-License-Identifier: GPL-2.0-only
#include "held.h"
#include "ring.h"

void held_open(struct held *h, const char *name)
{
	h->x.sc.reader = READER_POLL;
	run_open(&h->x, name);
	reader_open(&h->vhost, READER_VHOST, h->x.b.fd[0], &h->x.out,
		    h->x.sc.stall_ms);
}

void held_fill(struct held *h)
{
	run_send(&h->x, h->x.sc.len);
	reader_hold(&h->vhost);
}

unsigned int held_flow(struct held *h, unsigned int rounds)
{
	unsigned int room = ring_room(h->x.sc.len), n = 0;

	while (rounds--) {
		run_send(&h->x, room);
		n += reader_take(&h->vhost, room);
	}
	return n;
}

void held_close(struct held *h)
{
	reader_close(&h->vhost);
	run_close(&h->x);
}
