// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap.h"
#include "slow.h"

#define PAGE 4096ULL

u64 slow_symbol(const char *name)
{
	unsigned long long addr, found = 0;
	FILE *in = fopen("/proc/kallsyms", "re");
	char line[256], is[128];

	if (!in)
		ktap_bail("/proc/kallsyms: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), in))
		if (sscanf(line, "%llx %*c %127s", &addr, is) == 2 &&
		    !strcmp(is, name))
			found = addr;
	fclose(in);
	return found;
}

/* Inside an instruction, so that it is not met; on that page all the same. */
static int open_breakpoint(u64 addr)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.sample_period = 1,
		.disabled = 1,
		.exclude_user = 1,
		.bp_type = HW_BREAKPOINT_X,
		.bp_addr = addr,
		.bp_len = sizeof(long),
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			      PERF_FLAG_FD_CLOEXEC);

	/* Kernel code is out of bounds where the kernel has no kprobes. */
	if (fd < 0 && errno != EINVAL)
		ktap_bail("breakpoint at %llx: %s", (unsigned long long)addr,
			  strerror(errno));
	return fd;
}

bool slow_open(struct slow *s, u64 addr)
{
	unsigned int i;

	s->on = false;
	for (i = 0; i < SLOW_PAGES; i++)
		s->fd[i] = open_breakpoint(i ? (addr & -PAGE) + i * PAGE + 1 :
					   addr + 1);
	return s->fd[0] >= 0;
}

void slow_set(struct slow *s, bool on)
{
	unsigned int i;

	if (s->on == on || s->fd[0] < 0)
		return;
	s->on = on;
	for (i = 0; i < SLOW_PAGES; i++)
		if (ioctl(s->fd[i], on ? PERF_EVENT_IOC_ENABLE :
			  PERF_EVENT_IOC_DISABLE, 0))
			ktap_bail("breakpoint: %s", strerror(errno));
}

void slow_close(struct slow *s)
{
	unsigned int i;

	for (i = 0; i < SLOW_PAGES && s->fd[i] >= 0; i++)
		close(s->fd[i]);
}
