/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trap on each access of the calling thread to the slots of a device's ring.
 * It comes right after the access, and takes some microseconds: between a look
 * at the ring and what follows from it, which else is a few instructions, there
 * is then time for another CPU to act.
 */
#ifndef KSERIES_TRAP_H
#define KSERIES_TRAP_H

#include "types.h"

/* As many as a CPU has registers for. */
#define TRAP_SLOTS 4

struct trap {
	unsigned int n;
	int fd[TRAP_SLOTS];
	bool on;
};

/* Gives the rings new arrays, of @len slots; where the one of @queue is. */
u64 trap_find(const char *dev, unsigned int len, unsigned int queue);
/* For the thread that calls this; off to begin with. */
void trap_open(struct trap *tr, u64 slots, unsigned int len);
void trap_set(struct trap *tr, bool on);
/* Returns how often it came. */
u64 trap_close(struct trap *tr);

#endif
