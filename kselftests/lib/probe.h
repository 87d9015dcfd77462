/* SPDX-License-Identifier: GPL-2.0-only */
/* Is the queue stopped? A frame past the qdisc tells, and costs a slot. */
#ifndef KSERIES_PROBE_H
#define KSERIES_PROBE_H

#include "scenario.h"

enum probe {
	PROBE_ROOM,	/* it went into the ring, and somebody must read it */
	PROBE_DROPPED,	/* the queue runs, the ring is full */
	PROBE_STOPPED,
};

/* Its frames have a cookie of their own: to a tally they are foreign. */
enum probe probe_queue(const struct bench *b, const struct scenario *sc);
const char *probe_name(enum probe p);
/*
 * Until the device is (or is not) running in the sense of IFF_RUNNING; it bails
 * out where that does not come to be.
 */
void probe_must_run(const char *dev, bool on, unsigned int stall_ms);
/* Switch the carrier of a file's device, and wait until that is so. */
void probe_carrier(int fd, const char *dev, bool on, unsigned int stall_ms);

#endif
