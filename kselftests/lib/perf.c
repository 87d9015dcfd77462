// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is divided by each other counts in one group, that is at the same times.
 * A PMU with few counters takes turns among the groups.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "ktap.h"
#include "perf.h"

#define GROUP_MOST 3

struct event {
	const char *name;
	u64 config;
	const char *unit;
};

static const struct {
	u32 type;
	unsigned int n;
	struct event event[GROUP_MOST];
} groups[] = {
	{ PERF_TYPE_SOFTWARE, 3, {
		{ "cpu_ns", PERF_COUNT_SW_TASK_CLOCK, "ns" },
		{ "switches", PERF_COUNT_SW_CONTEXT_SWITCHES, NULL },
		{ "migrations", PERF_COUNT_SW_CPU_MIGRATIONS, NULL },
	} },
	{ PERF_TYPE_HARDWARE, 2, {
		{ "cycles", PERF_COUNT_HW_CPU_CYCLES, NULL },
		{ "instructions", PERF_COUNT_HW_INSTRUCTIONS, NULL },
	} },
	{ PERF_TYPE_HARDWARE, 2, {
		{ "branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, NULL },
		{ "branch_misses", PERF_COUNT_HW_BRANCH_MISSES, NULL },
	} },
};

struct perf_thread {
	int fd[ARRAY_SIZE(groups)][GROUP_MOST];	/* the first one leads */
};

/* What a read of a group's leader gives. */
struct counts {
	u64 n;
	u64 enabled_ns;
	u64 running_ns;
	u64 value[GROUP_MOST];
};

static int event_open(int tid, u32 type, u64 config, int leader)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = config,
		.disabled = leader < 0,
		.exclude_user = 1,
		.read_format = PERF_FORMAT_GROUP |
			       PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
	};

	return syscall(SYS_perf_event_open, &attr, tid, -1, leader,
		       PERF_FLAG_FD_CLOEXEC);
}

static void group_close(int *fd)
{
	unsigned int e;

	for (e = 0; e < GROUP_MOST; e++) {
		if (fd[e] >= 0)
			close(fd[e]);
		fd[e] = -1;
	}
}

/* No PMU, or one that does not count this, or not all of it at once. */
static bool pmu_lacks(u32 type, int err)
{
	return type == PERF_TYPE_HARDWARE &&
	       (err == ENOENT || err == EOPNOTSUPP || err == EINVAL);
}

static void group_open(int *fd, unsigned int g, int tid)
{
	unsigned int e;

	memset(fd, -1, GROUP_MOST * sizeof(*fd));
	for (e = 0; e < groups[g].n; e++) {
		fd[e] = event_open(tid, groups[g].type,
				   groups[g].event[e].config, fd[0]);
		if (fd[e] >= 0)
			continue;
		if (!pmu_lacks(groups[g].type, errno))
			ktap_bail("perf_event_open, %s of %d: %s",
				  groups[g].event[e].name, tid, strerror(errno));
		group_close(fd);
		return;
	}
}

void perf_open(struct perf *pf, const int *tid, unsigned int n)
{
	unsigned int t, g;

	pf->n = n;
	pf->thread = calloc(n, sizeof(*pf->thread));
	if (!pf->thread)
		ktap_bail("no memory");
	for (t = 0; t < n; t++)
		for (g = 0; g < ARRAY_SIZE(groups); g++)
			group_open(pf->thread[t].fd[g], g, tid[t]);
}

static void tell_all(const struct perf *pf, unsigned long request)
{
	unsigned int t, g;
	int leader;

	for (t = 0; t < pf->n; t++) {
		for (g = 0; g < ARRAY_SIZE(groups); g++) {
			leader = pf->thread[t].fd[g][0];
			if (leader >= 0 &&
			    ioctl(leader, request, PERF_IOC_FLAG_GROUP))
				ktap_bail("perf counters: %s", strerror(errno));
		}
	}
}

void perf_begin(const struct perf *pf)
{
	tell_all(pf, PERF_EVENT_IOC_ENABLE);
}

void perf_end(const struct perf *pf)
{
	tell_all(pf, PERF_EVENT_IOC_DISABLE);
}

/* Adds a thread's counts; false where nothing counted while it ran. */
static bool group_add(const int *fd, unsigned int g, u64 *sum)
{
	struct counts c;
	ssize_t want = offsetof(struct counts, value[groups[g].n]);
	unsigned int e;

	if (fd[0] < 0)
		return false;
	if (read(fd[0], &c, sizeof(c)) != want || c.n != groups[g].n)
		ktap_bail("perf counters: no whole group read");
	if (!c.running_ns && c.enabled_ns)
		return false;
	for (e = 0; e < c.n; e++) {
		/* Less where other groups had their turn. */
		if (c.running_ns < c.enabled_ns)
			c.value[e] = (long double)c.value[e] * c.enabled_ns /
				     c.running_ns;
		sum[e] += c.value[e];
	}
	return true;
}

void perf_figures(const struct perf *pf, const char *prefix)
{
	unsigned int t, g, e;
	char name[64];

	for (g = 0; g < ARRAY_SIZE(groups); g++) {
		u64 sum[GROUP_MOST] = {};
		bool all = pf->n;

		for (t = 0; all && t < pf->n; t++)
			all = group_add(pf->thread[t].fd[g], g, sum);
		for (e = 0; all && e < groups[g].n; e++) {
			snprintf(name, sizeof(name), "%s%s", prefix,
				 groups[g].event[e].name);
			ktap_figure(name, (long long)sum[e],
				    groups[g].event[e].unit);
		}
	}
}

void perf_close(struct perf *pf)
{
	unsigned int t, g;

	for (t = 0; t < pf->n; t++)
		for (g = 0; g < ARRAY_SIZE(groups); g++)
			group_close(pf->thread[t].fd[g]);
	free(pf->thread);
	memset(pf, 0, sizeof(*pf));
}
