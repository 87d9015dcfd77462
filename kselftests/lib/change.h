/* SPDX-License-Identifier: GPL-2.0-only */
/* A device with something in its ring, and what can be done to it then. */
#ifndef KSERIES_CHANGE_H
#define KSERIES_CHANGE_H

#include "feeder.h"
#include "probe.h"
#include "scenario.h"

enum action {
	ACT_GROW, ACT_SHRINK, ACT_ZERO, ACT_DETACH_ATTACH, ACT_REOPEN,
	ACT_REOPEN_GROW, ACT_REOPEN_CARRIER, ACT_LINK, ACT_LINK_READ,
	ACT_LINK_VHOST,
	ACT_CARRIER, ACT_CARRIER_READ, ACT_CARRIER_VHOST, ACT_CARRIER_GROW,
	ACT_TO_NOQUEUE, ACT_QDISC_REPLACE, ACT_DELETE, ACT_MOVE,
};

/* Stopped: full, and a sender sleeps for what waits in front of it. */
enum state { STATE_EMPTY, STATE_HALF, STATE_FULL, STATE_STOPPED };

/* In the order of the enums, and with a NULL at the end. */
extern const char * const change_actions[];
extern const char * const change_states[];

/* Frames behind a full ring; stock drops as many. */
#define CHANGE_EXTRA 20

struct change {
	struct scenario sc;
	struct bench bench;
	enum action action;
	enum state state;
	unsigned int len;	/* of the ring, as it is now */
	unsigned int kept;	/* frames that must have survived */
	bool read_meanwhile;	/* by a reader of the action's own, ... */
	unsigned int came;	/* ... who got so many */
	struct sender sender;
	struct reader reader;
	struct tally tally;
	struct feeder feeder;	/* only in STATE_STOPPED; foreign to the tally */
	u16 port;		/* of the feeder's frames; 0: any */
	int refused;		/* the length of a device without a file: -errno */
	u64 tried;		/* by what no longer is the sender, and by probes */
};

unsigned int change_fill_of(const struct change *ch);
/* Bring the ring into its state. */
void change_fill(struct change *ch);
/* All but detach_attach and delete, which need more than this. */
void change_act(struct change *ch);
void change_resize(struct change *ch, unsigned int len);
/* Let the sender that sleeps send what it has left, if it can do so. */
void change_settle(struct change *ch);
/* Read until it has ended: false if it does not. */
bool change_release(struct change *ch);
enum probe change_probe(struct change *ch);
/* All that was tried, but for what came out or was freed. Needs bench_count_freed(). */
u64 change_inside(const struct change *ch);
/* There is nothing like that. */
bool change_balances(const struct change *ch);
unsigned int change_backlog(const struct change *ch);
/* Frames sent now come out of the open reader, in rounds that the ring holds. */
bool change_fresh(struct change *ch);

#endif
