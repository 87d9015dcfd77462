// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "ktap.h"
#include "load.h"
#include "stall.h"

#define SPIN_NS 200000
#define NAP_NS 50000

u32 rnd_start(u32 seed, unsigned int who)
{
	/* Any odd state will do, as long as it is not 0. */
	return (seed * 2654435761U + who * 40503U) | 1;
}

u32 rnd_next(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

u32 rnd_below(u32 *state, u32 n)
{
	return n ? rnd_next(state) % n : 0;
}

void rnd_spin(u32 *state, u64 most_ns)
{
	u64 end = stall_now_ns() + rnd_below(state, (u32)most_ns);

	while (stall_now_ns() < end)
		;
}

void rnd_pause(u32 *state, unsigned int most)
{
	unsigned int i;

	for (i = rnd_below(state, most); i; i--)
		__asm__ __volatile__("" : : : "memory");
}

void load_wait(u64 since)
{
	unsigned int i;

	if (stall_now_ns() - since > SPIN_NS) {
		stall_nap(NAP_NS);
		return;
	}
	for (i = 0; i < 20; i++)
		__asm__ __volatile__("" : : : "memory");
}

bool load_wait_for(const u64 *count, u64 n, unsigned int stall_ms)
{
	u64 since = stall_now_ns();
	struct stall st;

	stall_start(&st, stall_ms);
	while (shared_get(*count) < n && !stall_over(&st)) {
		load_wait(since);
		stall_note(&st, shared_get(*count));
	}
	return shared_get(*count) >= n;
}

unsigned int cpus_allowed(int *cpu, unsigned int most)
{
	unsigned int n = 0;
	cpu_set_t set;
	int i;

	if (sched_getaffinity(0, sizeof(set), &set))
		ktap_bail("affinity: %s", strerror(errno));
	for (i = 0; i < CPU_SETSIZE && n < most; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n;
}

void cpus_allow(const int *cpu, unsigned int n)
{
	cpu_set_t set;
	unsigned int i;

	CPU_ZERO(&set);
	for (i = 0; i < n; i++)
		CPU_SET(cpu[i], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ktap_bail("affinity to %u CPUs from %d on: %s", n, cpu[0],
			  strerror(errno));
}

void cpu_pin(int cpu)
{
	cpus_allow(&cpu, 1);
}

/*
 * Nobody is to get these signals: what counts is the interrupt. A timer whose
 * signal is ignored starts itself again, but not below a tick of the kernel's.
 */
void jitter_start(struct jitter *jt, u32 *state, unsigned int n)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR2,
	};
	struct itimerspec every = {};
	unsigned int i;

	jt->n = min_t(unsigned int, n, JITTER_MOST);
	signal(SIGUSR2, SIG_IGN);
	for (i = 0; i < jt->n; i++) {
		every.it_interval.tv_nsec = 1000000 + rnd_below(state, 200000);
		every.it_value.tv_nsec = 1 + rnd_below(state, 1000000);
		if (timer_create(CLOCK_MONOTONIC, &ev, &jt->timer[i]) ||
		    timer_settime(jt->timer[i], 0, &every, NULL))
			ktap_bail("timer: %s", strerror(errno));
	}
}

void jitter_end(struct jitter *jt)
{
	unsigned int i;

	for (i = 0; i < jt->n; i++)
		timer_delete(jt->timer[i]);
}
