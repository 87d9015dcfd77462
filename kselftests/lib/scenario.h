/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs have in common: their options, and the device to test. */
#ifndef KSERIES_SCENARIO_H
#define KSERIES_SCENARIO_H

#include "reader.h"
#include "types.h"

enum dev_kind {
	DEV_TUN,
	DEV_TAP,
	DEV_MACVTAP,
	DEV_IPVTAP,
	DEV_KINDS,
};

struct scenario {
	enum dev_kind dev;
	enum reader_kind reader;
	const char *qdisc;
	unsigned int len;	/* ring length: the device's txqueuelen */
	unsigned int stall_ms;
	unsigned int queues;
	/* A device that could have more queues; mq asks for it by itself. */
	bool multi_queue;
	/* Set after scenario_parse(), where no hash of flows is needed. */
	bool own_protocol;
	u32 seed;
	unsigned int tun_flags;	/* for TUNSETIFF; set after scenario_parse() */
};

/* An option of one program alone: --NAME NUMBER. */
struct scenario_option {
	const char *name;
	unsigned int *value;
	const char *help;
};

/* Sets the defaults, then parses; usage trouble ends the program. */
void scenario_parse(struct scenario *sc, int argc, char **argv,
		    const struct scenario_option *extra, unsigned int n_extra);
/* The two apart, for a program whose own defaults are others. */
void scenario_defaults(struct scenario *sc);
void scenario_options(struct scenario *sc, int argc, char **argv,
		      const struct scenario_option *extra,
		      unsigned int n_extra);
const char *scenario_dev_name(enum dev_kind dev);
bool scenario_ether(const struct scenario *sc);
/* For programs to which --queues has no meaning. */
void scenario_need_one_queue(const struct scenario *sc);
/* tun and tap: the device whose transmit path ends in the ring. */
bool scenario_owns_queue(const struct scenario *sc);
/* Of those, IFF_TUN or IFF_TAP. */
unsigned int scenario_tuntap(const struct scenario *sc);
/*
 * What the kernel takes the frames for, in skb->protocol: IPv4, which they are,
 * or with own_protocol one that no other program's frames have.
 */
u16 scenario_protocol(const struct scenario *sc);

#define BENCH_QUEUES 16
/* What a macvtap or ipvtap sits on. */
#define BENCH_LOWER "kst-near"

/* The device of a scenario, up, and who can send to it. */
struct bench {
	const char *dev;	/* the device under test */
	const char *via;	/* where its frames are sent */
	int fd[BENCH_QUEUES];
	unsigned int n_fds;
	u32 cookie;
	u64 drops_before;	/* see ledger_begin() */
};

/* @name: at most 12 characters; each bench of a program needs its own. */
void bench_open(struct bench *b, const struct scenario *sc, const char *name);
/*
 * drops_start_of() the scenario's protocol, which is most certain with one of its
 * own. What else there is of IPv4 must have been freed before.
 */
void bench_count_freed(const struct scenario *sc);
/* A sender whose frames reach the bench's device. */
void bench_sender(const struct bench *b, const struct scenario *sc,
		  struct sender *s, bool bypass);
/*
 * Is the (first) tx queue stopped? A look by sending a foreign frame past the
 * qdisc, which goes into the ring if there is room: only to explain a failure.
 * Needs drops_start("FULL_RING").
 */
bool bench_stopped(const struct bench *b, const struct scenario *sc);
/*
 * Close its files. A tun or tap goes with the last one: if not, somebody else has
 * kept one, which fails the program. What is left is deleted.
 */
void bench_close(struct bench *b);

#endif
