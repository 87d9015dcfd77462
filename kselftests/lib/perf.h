/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel and a PMU count of threads, as perf stat has it. */
#ifndef KSERIES_PERF_H
#define KSERIES_PERF_H

#include "types.h"

struct perf_thread;

/* Zeroed it has no threads and no figures. */
struct perf {
	struct perf_thread *thread;
	unsigned int n;
};

/*
 * They count between perf_begin() and perf_end(). From open to close each switch
 * of any thread takes some hundred instructions more.
 */
void perf_open(struct perf *pf, const int *tid, unsigned int n);
void perf_begin(const struct perf *pf);
void perf_end(const struct perf *pf);
/*
 * Sums over the threads, each name after @prefix: cpu_ns, switches, migrations,
 * and, where there is a PMU, cycles, instructions, branches, branch_misses.
 */
void perf_figures(const struct perf *pf, const char *prefix);
void perf_close(struct perf *pf);

#endif
