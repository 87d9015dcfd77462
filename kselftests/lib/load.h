/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads with a CPU of their own, and pauses that a seed decides. */
#ifndef KSERIES_LOAD_H
#define KSERIES_LOAD_H

#include <time.h>

#include "types.h"

#define shared_get(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define shared_set(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)
#define shared_add(x, v) __atomic_add_fetch(&(x), v, __ATOMIC_ACQ_REL)

/* @who: each thread its own sequence. */
u32 rnd_start(u32 seed, unsigned int who);
u32 rnd_next(u32 *state);
/* 0 to @n - 1; 0 for @n of 0. */
u32 rnd_below(u32 *state, u32 n);
/* Spin for less than @most_ns: until any time of something that takes as long. */
void rnd_spin(u32 *state, u64 most_ns);
/* Spin for some time, a few nanoseconds for each of up to @most turns. */
void rnd_pause(u32 *state, unsigned int most);

/* One turn of a wait that began @since: spins at first, sleeps later on. */
void load_wait(u64 since);
/* Until the shared @count has come to @n; false: it stalled before. */
bool load_wait_for(const u64 *count, u64 n, unsigned int stall_ms);

/* The CPUs that this thread may use, at most @most; returns how many. */
unsigned int cpus_allowed(int *cpu, unsigned int most);
/* Have this thread use these @n alone, or this one. */
void cpus_allow(const int *cpu, unsigned int n);
void cpu_pin(int cpu);

#define JITTER_MOST 32

/*
 * Timer interrupts at odd times on the CPU of this thread, some @n of them to a
 * millisecond, to stretch now and then what is a few instructions long.
 */
struct jitter {
	timer_t timer[JITTER_MOST];
	unsigned int n;
};

void jitter_start(struct jitter *jt, u32 *state, unsigned int n);
void jitter_end(struct jitter *jt);

#endif
