/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads of the kernel and of programs. */
#ifndef KSERIES_TASK_H
#define KSERIES_TASK_H

#include "types.h"

/*
 * Those with this name, or with a name that begins so if it ends in '*', in
 * "/proc" or in a process's "/proc/PID/task"; returns how many, at most @most.
 */
unsigned int tasks_find(const char *dir, const char *name, int *tid,
			unsigned int most);
/* How often the thread has left a CPU, by itself and not. */
u64 task_switches(int tid);
/* Its state letter, as ps has it: S asleep, R running, Z a zombie. */
char task_state(int tid);
/* From now on @sig ends what a thread of this process sleeps in, and nothing else. */
void task_interrupt_by(int sig);
/* Has a thread left its number there, and does it sleep? */
bool task_sleeps(const int *tid);

#endif
