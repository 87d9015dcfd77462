// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmsg.h"
#include "ktap.h"

#define LIMIT "/proc/sys/net/core/message_cost"
/* One record, with what devices have to add to it. */
#define RECORD 8192

static int limit = -1;		/* of the first netns, wherever we are */
static char usual[16];
static ssize_t usual_len;

static void limit_back(void)
{
	if (limit < 0)
		return;
	if (pwrite(limit, usual, (size_t)usual_len, 0) != usual_len)
		ktap_diag("%s: %s", LIMIT, strerror(errno));
	close(limit);
	limit = -1;
}

static void limit_off(void)
{
	limit = open(LIMIT, O_RDWR | O_CLOEXEC);
	if (limit < 0)
		ktap_bail("%s: %s", LIMIT, strerror(errno));
	usual_len = pread(limit, usual, sizeof(usual), 0);
	if (usual_len < 1 || pwrite(limit, "0\n", 2, 0) != 2)
		ktap_bail("%s: %s", LIMIT, strerror(errno));
	atexit(limit_back);
}

void kmsg_open(struct kmsg *k, const char *text)
{
	k->text = text;
	k->count = 0;
	k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (k->fd < 0 || lseek(k->fd, 0, SEEK_END) < 0)
		ktap_bail("/dev/kmsg: %s", strerror(errno));
	limit_off();
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
	limit_back();
}
