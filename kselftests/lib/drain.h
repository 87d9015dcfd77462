/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread that reads until it is told to end, on a CPU of its own. It spins
 * for a while and waits for a while, with pauses in between, as its seed has
 * it; with nothing to read for long it always waits.
 */
#ifndef KSERIES_DRAIN_H
#define KSERIES_DRAIN_H

#include <pthread.h>

#include "flows.h"
#include "reader.h"
#include "types.h"

struct drain {
	enum reader_kind kind;
	int fd;
	int cpu;
	unsigned int len;	/* of the ring: about what a manner lasts */
	bool calm;		/* wait always, never pause */
	u32 rnd;
	struct flows *out;
	/* What was sent: lets it hold back until the ring is about full. */
	const u64 *sent;
	u64 slots;		/* of the ring, where reads are held up; 0: nowhere */
	u64 traps;		/* how often one was, when it has ended */
	/* The thread's own, save for these two, which anyone may look at. */
	bool ended;
	int error;		/* the errno that ended it early */
	bool stop;
	pthread_t thread;
	unsigned int left;	/* frames until the manner changes */
	unsigned int pause;
	unsigned int gather;
	bool spin;
	bool dry;	/* the last look found nothing */
	struct uring *uring;
	int epoll;
};

/* Set kind to out before this. */
void drain_start(struct drain *dr);
void drain_end(struct drain *dr);

#endif
