// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kmsg.h"
#include "ktap.h"
#include "sysctl.h"

#define LIMIT "/proc/sys/net/core/message_cost"
/* One record, with what devices have to add to it. */
#define RECORD 8192

static struct sysctl limit;

void kmsg_open(struct kmsg *k, const char *text)
{
	k->text = text;
	k->count = 0;
	k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (k->fd < 0 || lseek(k->fd, 0, SEEK_END) < 0)
		ktap_bail("/dev/kmsg: %s", strerror(errno));
	sysctl_open(&limit, LIMIT);
	sysctl_set(&limit, "0\n");
}

u64 kmsg_count(struct kmsg *k)
{
	char line[RECORD];
	ssize_t len;

	while ((len = read(k->fd, line, sizeof(line) - 1)) >= 0) {
		line[len] = '\0';
		k->count += !!strstr(line, k->text);
	}
	if (errno != EAGAIN)
		ktap_bail("/dev/kmsg: %s", strerror(errno));
	return k->count;
}

void kmsg_close(struct kmsg *k)
{
	close(k->fd);
	sysctl_close(&limit);
}
