/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KSERIES_PKTGEN_H
#define KSERIES_PKTGEN_H

#include "types.h"

/* Its threads' names, with the number of the CPU behind it. */
#define PKTGEN_THREAD "kpktgend_"

/* One thread of pktgen a CPU, each with its own view of the device. */
struct pktgen_conf {
	const char *ifname;
	unsigned int threads;
	unsigned int first_cpu;	/* of the first thread */
	unsigned int size;	/* of a frame, Ethernet header included */
	u64 count;		/* frames that each thread gets accepted */
	bool queue_xmit;	/* through the qdisc, not straight to the driver */
	/* Let go of each frame: else it ends only when its last one is read. */
	bool unshared;
};

struct pktgen_result {
	u64 sent;		/* accepted by the driver or the qdisc */
	u64 errors;	/* refused or thrown away */
	bool begun;	/* each thread has, since its count was set */
	bool running;
};

/* Its threads, by their number as tasks. */
#define PKTGEN_TASKS_MOST 256
struct pktgen_tasks {
	int tid[PKTGEN_TASKS_MOST];
	unsigned int n;
};

/* Those of other netns, some not yet gone: to be called before netns_enter(). */
void pktgen_others(struct pktgen_tasks *others);
/* Those of ours that have frames to send, told from @others. */
void pktgen_ours(const struct pktgen_conf *conf,
		 const struct pktgen_tasks *others, struct pktgen_tasks *ours);

/*
 * All return 0 or a negative errno. pktgen is a matter of the netns, which has
 * to be a fresh one: see pktgen_setup_thread().
 */
int pktgen_setup(const struct pktgen_conf *conf);
int pktgen_set_count(const struct pktgen_conf *conf, u64 count);
/*
 * Start them after pktgen_set_count(). Returns when every thread has begun and
 * has finished or was stopped; -ETIMEDOUT if one does not begin.
 */
int pktgen_start(const struct pktgen_conf *conf);
int pktgen_stop(void);
/* Adds up what the threads say. */
int pktgen_read(const struct pktgen_conf *conf, struct pktgen_result *res);
int pktgen_cleanup(void);

#endif
