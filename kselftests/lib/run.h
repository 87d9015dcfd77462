/* SPDX-License-Identifier: GPL-2.0-only */
/* One device with one sender and one reader, and what passes between them. */
#ifndef KSERIES_RUN_H
#define KSERIES_RUN_H

#include "frame.h"
#include "ledger.h"
#include "reader.h"
#include "scenario.h"
#include "types.h"

struct run {
	struct scenario sc;
	struct bench b;
	struct sender s;
	struct reader r;
	struct tally out;	/* what the reader got */
};

/*
 * @x->sc is the input. Needs netns_enter() and drops_start(): "FULL_RING" where
 * run_ledger() is to count.
 */
void run_open(struct run *x, const char *name);
void run_close(struct run *x);
void run_ledger(const struct run *x, struct ledger *l);
/* True if frames can wait in a qdisc for this ring to have room. */
bool run_has_backlog(const struct run *x);
/* Try @n frames, and see them arrive. */
void run_send(struct run *x, unsigned int n);
/* Try one frame; was it kept (by the ring, or a qdisc before it)? */
bool run_try(struct run *x);
u64 run_backlog(const struct run *x);
/*
 * Wait for the backlog to fall to @target. What it is at last: above the
 * target after a stall, below it if more went on than should.
 */
u64 run_backlog_falls(const struct run *x, u64 target);
/*
 * Read all that the ledger knows to be in the qdisc and in the ring, then look
 * for anything else. False, with a diagnosis, if the reader stalls.
 */
bool run_drain(struct run *x);
/* Of two files: all frames go to the queue of this one, which @x->r reads. */
void run_use_queue(struct run *x, unsigned int queue);
/*
 * The only file with a queue is detached, gets back what @vhost holds of it, and
 * is attached again, to a device of this length.
 */
void run_attach_held(struct run *x, struct reader *vhost, unsigned int len);
/* Of a device with several files: fill the rings of all; read what one holds. */
bool run_fill_files(struct run *x);
bool run_read_file(struct run *x, unsigned int i);

#endif
