/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP streams: a thread that sends for each of them, one that receives them
 * all, and content that shows any byte that is not where it belongs.
 */
#ifndef KSERIES_STREAMS_H
#define KSERIES_STREAMS_H

#include <pthread.h>

#include "types.h"

#define STREAMS_MAX 16

struct streams;

struct stream {
	struct streams *all;
	pthread_t thread;
	int from;		/* sender's socket */
	int to;			/* receiver's, -1 until it is accepted */
	u16 port;		/* of the sender: how the two are matched */
	u64 sent;
	u64 received;
	u32 retransmits;
	bool done;		/* all of it was received */
	bool wrong;		/* a byte that does not belong there */
};

struct streams {
	unsigned int n;
	u64 bytes;		/* of each stream */
	u32 priority;		/* SO_PRIORITY of the senders */
	struct stream one[STREAMS_MAX];
	int listener;
	unsigned int n_done;
	u64 first_done_least;	/* bytes of the slowest when the first ended */
	bool stop;
	pthread_t receiver;
};

/* In the netns of the receiver, then in that of the senders. */
void streams_listen(struct streams *st, u32 addr);
void streams_start(struct streams *st, u32 addr);
u64 streams_received(const struct streams *st);
bool streams_done(const struct streams *st);
/* Cuts off what is not done. */
void streams_end(struct streams *st);
u64 streams_retransmits(const struct streams *st);
unsigned int streams_wrong(const struct streams *st);

#endif
