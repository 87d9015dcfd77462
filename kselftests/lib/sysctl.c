// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "sysctl.h"

static struct sysctl *opened;

static bool put(const struct sysctl *s, const char *text, size_t len)
{
	return pwrite(s->fd, text, len, 0) == (ssize_t)len;
}

void sysctl_set_back(struct sysctl *s)
{
	if (!put(s, s->usual, s->len))
		ktap_diag("%s: %s", s->path, strerror(errno));
}

void sysctl_close(struct sysctl *s)
{
	struct sysctl **at = &opened;

	sysctl_set_back(s);
	close(s->fd);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
}

static void close_all(void)
{
	while (opened)
		sysctl_close(opened);
}

void sysctl_open(struct sysctl *s, const char *path)
{
	static bool at_exit;
	ssize_t len;

	s->path = path;
	s->fd = open(path, O_RDWR | O_CLOEXEC);
	len = s->fd < 0 ? -1 : pread(s->fd, s->usual, sizeof(s->usual), 0);
	if (len < 1)
		ktap_bail("%s: %s", path, strerror(errno));
	s->len = (size_t)len;
	s->next = opened;
	opened = s;
	if (!at_exit)
		atexit(close_all);
	at_exit = true;
}

void sysctl_set(struct sysctl *s, const char *value)
{
	if (!put(s, value, strlen(value)))
		ktap_bail("%s: %s", s->path, strerror(errno));
}
