/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device whose frames vhost-net has taken ahead of the buffers that there are
 * for them.
 */
#ifndef KSERIES_HELD_H
#define KSERIES_HELD_H

#include "run.h"

struct held {
	struct run x;		/* x.sc is the input */
	struct reader vhost;
};

/* Needs what run_open() needs. x.r is a plain reader, x.out has all that came. */
void held_open(struct held *h, const char *name);
/* Fill the ring; vhost has got one frame then, and all others of it. */
void held_fill(struct held *h);
/* Send, and have it from vhost, as often as this: how many frames came. */
unsigned int held_flow(struct held *h, unsigned int rounds);
void held_close(struct held *h);

#endif
