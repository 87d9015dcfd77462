/* SPDX-License-Identifier: GPL-2.0-only */
/* A device with several queues: flow N goes to queue N modulo their number. */
#ifndef KSERIES_MULTI_H
#define KSERIES_MULTI_H

#include <pthread.h>

#include "flows.h"
#include "intake.h"
#include "qdisc.h"
#include "scenario.h"

struct multi;

struct multi_queue {
	struct multi *m;
	unsigned int nr;
	struct intake in;
	struct flows out;	/* what its reader got */
	pthread_t thread;
};

struct multi_sending {
	struct multi *m;
	unsigned int nr;
	pthread_t thread;
};

struct multi {
	struct scenario sc;
	struct bench b;
	struct multi_queue queue[BENCH_QUEUES];
	/* One a flow; the first ones are the queues' own. */
	struct sender sender[FLOWS_MAX];
	/* For multi_run() alone. */
	unsigned int senders;
	unsigned int frames;	/* of each flow */
	unsigned int burst;
	struct multi_sending sending[FLOWS_MAX];
	pthread_barrier_t start;
	unsigned int busy;	/* senders that are not done */
	u64 accepted;
	u64 elapsed_ns;
	bool stalled;
	bool stop;
};

/* @child: what mq gets below each of its queues. */
void multi_open(struct multi *m, const char *child);
void multi_close(struct multi *m);
void multi_child(const struct multi *m, unsigned int q, struct qdisc_stats *st);
/* Read @n more frames from queue @q; less only after a stall. */
unsigned int multi_take(struct multi *m, unsigned int q, unsigned int n);

/*
 * Each sender first tries @burst frames of each of its flows, one to each
 * queue; then the readers start, and the senders go on.
 */
void multi_run(struct multi *m, unsigned int burst);
u64 multi_delivered(const struct multi *m);
/* Frames out of order, missing or repeated; and those of another queue. */
u64 multi_wrong(const struct multi *m);
u64 multi_astray(const struct multi *m);

#endif
