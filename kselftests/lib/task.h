/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads of the kernel and of programs, and what the scheduler counts of them. */
#ifndef KSERIES_TASK_H
#define KSERIES_TASK_H

#include "types.h"

/*
 * Figures of a thread, as perf stat has them; events of a PMU are not among
 * them, an emulated CPU has none.
 */
struct task_counts {
	u64 switches;		/* voluntary and not */
	u64 cpu_ns;
	/* Ready, and waiting for a CPU; only where the kernel has SCHED_INFO. */
	u64 wait_ns;
	bool has_wait;
};

/*
 * Those with this name, or with a name that begins so if it ends in '*', in
 * "/proc" or in a process's "/proc/PID/task"; returns how many, at most @most.
 */
unsigned int tasks_find(const char *dir, const char *name, int *tid,
			unsigned int most);
/* Adds what is counted of the thread up to now. */
void task_count(int tid, struct task_counts *tc);

#endif
