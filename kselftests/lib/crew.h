/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Several senders of one kind at once, on a CPU each as far as there are
 * enough. A sender is a flow: FLOWS_PORT and up, whatever it sends by.
 */
#ifndef KSERIES_CREW_H
#define KSERIES_CREW_H

#include <pthread.h>

#include "flows.h"
#include "ledger.h"
#include "pktgen.h"
#include "scenario.h"

enum producer {
	PRODUCER_PACKET,	/* AF_PACKET, through the qdisc */
	PRODUCER_BYPASS,	/* AF_PACKET, past it */
	PRODUCER_UDP,
	PRODUCER_PKTGEN,	/* straight to the driver, again and again */
	PRODUCER_PKTGEN_QUEUE,	/* through the qdisc */
	PRODUCER_XDP,	/* a veth's XDP program, to the driver (tap only) */
};

/* In the order of the enum, and with a NULL at the end. */
extern const char * const producer_names[];

struct crew;

struct crew_member {
	struct crew *crew;
	unsigned int nr;
	pthread_t thread;
	struct sender sender;
};

struct crew {
	enum producer kind;
	const struct scenario *sc;
	const struct bench *b;
	unsigned int n;
	struct crew_member member[FLOWS_MAX];
	/* The crew's own. */
	struct pktgen_conf pktgen;
	pthread_t generator;
	pthread_barrier_t start;
	unsigned int each;
	unsigned int working;
	u64 handed_over;
	int error;
};

/* Needs a bench that is open. */
void crew_open(struct crew *c, enum producer kind, unsigned int n,
	       const struct scenario *sc, const struct bench *b);
/* Each tries @each frames; pktgen gets each of them accepted. */
void crew_start(struct crew *c, unsigned int each);
/* Accepted until now, by all of them. */
u64 crew_sent(const struct crew *c);
bool crew_working(const struct crew *c);
/* Waits for them; only pktgen might never end, and is then told to stop. */
void crew_end(struct crew *c);
/* All their results in one; what pktgen calls an error was refused. */
void crew_count(const struct crew *c, struct sender *sum);
void crew_close(struct crew *c);

/* As flows_frame(), for frames of any producer. */
void crew_frame(const struct crew *c, struct flows *fl, const void *buf,
		size_t len);

#endif
