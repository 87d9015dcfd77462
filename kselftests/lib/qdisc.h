/* SPDX-License-Identifier: GPL-2.0-only */
/* Queueing disciplines: put one on a device, read what it holds. */
#ifndef KSERIES_QDISC_H
#define KSERIES_QDISC_H

#include <linux/pkt_sched.h>

#include "types.h"

/* The root that mq and prio get; their children hang off 1:1, 1:2, ... */
#define QDISC_ROOT_HANDLE TC_H_MAKE(0x10000U, 0)
#define QDISC_CHILD(n) TC_H_MAKE(QDISC_ROOT_HANDLE, (n))

/* What a device comes up with: it is left alone, and is to hold frames. */
#define QDISC_DEFAULT "default"

/* Those that qdisc_replace() knows, and a NULL. */
extern const char * const qdisc_kinds[];

struct qdisc_stats {
	u64 packets;
	u32 qlen;
	u32 backlog;
	u32 drops;
	u32 requeues;
};

/*
 * noqueue, pfifo_fast, fq_codel, fq, prio or mq. fq_codel and fq get limits
 * that no test of a driver reaches, so that they drop nothing by themselves.
 */
void qdisc_replace(const char *dev, const char *kind);
/* The handle is the kernel's choice: prio can take the place of mq. */
void qdisc_replace_any(const char *dev, const char *kind);
/* The same below a class of the root, which mq and prio have. */
void qdisc_replace_at(const char *dev, const char *kind, u32 parent);
/*
 * fq_codel as the root, with room as above and its own quantum. @target_us
 * and @interval_us are CoDel's, 0 for never; with them it marks ECT frames
 * instead of dropping them. A frame of priority QDISC_CHILD(n) is in flow n,
 * so that no hash can put two flows into one.
 */
void qdisc_fq_codel(const char *dev, u32 target_us, u32 interval_us);
void qdisc_read(const char *dev, struct qdisc_stats *st);
void qdisc_read_at(const char *dev, u32 parent, struct qdisc_stats *st);
bool qdisc_known(const char *kind);
/* False for noqueue, where the driver is called straight from the sender. */
bool qdisc_holds(const char *kind);
/* Frames of one flow that fit, given the device's txqueuelen. */
unsigned int qdisc_capacity(const char *kind, unsigned int txqueuelen);

#endif
