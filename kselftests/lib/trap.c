// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap.h"
#include "netdev.h"
#include "trap.h"

#define INSTANCE "/sys/kernel/tracing/instances/kseries-ring"
#define EVENT "events/kmem/kmalloc/"

static void put(const char *file, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), INSTANCE "/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ktap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

/*
 * Arrays that may be large come from kvmalloc. The rings' are made first, by
 * their queues; a qdisc may have some of its own.
 */
static u64 array_of(unsigned int queue)
{
	unsigned long long addr, found = 0;
	FILE *in = fopen(INSTANCE "/trace", "re");
	char line[512], *at;

	if (!in)
		ktap_bail("trace: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), in)) {
		at = strstr(line, "kvmalloc") ? strstr(line, " ptr=") : NULL;
		if (at && sscanf(at, " ptr=%llx", &addr) == 1 && !queue--)
			found = addr;
	}
	fclose(in);
	return found;
}

u64 trap_find(const char *dev, unsigned int len, unsigned int queue)
{
	char filter[48];
	u64 found;

	if (mkdir(INSTANCE, 0700))
		ktap_bail(INSTANCE ": %s", strerror(errno));
	put("options/hash-ptr", "0");
	snprintf(filter, sizeof(filter), "bytes_req == %zu", len * sizeof(void *));
	put(EVENT "filter", filter);
	netdev_txqueuelen(dev, len + 1);
	put(EVENT "enable", "1");
	netdev_txqueuelen(dev, len);
	put(EVENT "enable", "0");
	found = array_of(queue);
	if (rmdir(INSTANCE))
		ktap_diag(INSTANCE " stays: %s", strerror(errno));
	if (!found)
		ktap_bail("the ring's array is not seen to be made");
	return found;
}

void trap_open(struct trap *tr, u64 slots, unsigned int len)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.disabled = 1,
		.exclude_user = 1,
		.bp_type = HW_BREAKPOINT_RW,
		.bp_len = HW_BREAKPOINT_LEN_8,
	};

	tr->on = false;
	for (tr->n = 0; tr->n < min_t(unsigned int, len, TRAP_SLOTS); tr->n++) {
		attr.bp_addr = slots + tr->n * sizeof(void *);
		tr->fd[tr->n] = (int)syscall(SYS_perf_event_open, &attr, 0, -1,
					     -1, PERF_FLAG_FD_CLOEXEC);
		if (tr->fd[tr->n] < 0)
			ktap_bail("breakpoint at %llx: %s",
				  (unsigned long long)attr.bp_addr,
				  strerror(errno));
	}
}

void trap_set(struct trap *tr, bool on)
{
	unsigned int i;

	if (tr->on == on)
		return;
	tr->on = on;
	for (i = 0; i < tr->n; i++)
		if (ioctl(tr->fd[i], on ? PERF_EVENT_IOC_ENABLE :
			  PERF_EVENT_IOC_DISABLE, 0))
			ktap_bail("breakpoint: %s", strerror(errno));
}

u64 trap_close(struct trap *tr)
{
	u64 count, sum = 0;

	while (tr->n) {
		if (read(tr->fd[--tr->n], &count, sizeof(count)) != sizeof(count))
			ktap_bail("breakpoint: %s", strerror(errno));
		sum += count;
		close(tr->fd[tr->n]);
	}
	return sum;
}
