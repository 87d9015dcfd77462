// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "netdev.h"
#include "sink.h"
#include "stall.h"

#define LARGEST 2048

void sink_open(struct sink *s, enum reader_kind kind, int fd, unsigned int size)
{
	*s = (struct sink) { .fd = fd, .drop = s->drop };
	if (kind == READER_VHOST) {
		s->vhost = vhost_open_size(size);
		vhost_attach(s->vhost, fd);
	} else {
		tuntap_nonblock(fd);
	}
}

void sink_restart(struct sink *s)
{
	s->frames = 0;
	s->first_ns = 0;
	s->last_ns = 0;
}

static bool take_read(struct sink *s, int timeout_ms)
{
	struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
	/* Of a frame that is longer the rest is thrown away uncopied. */
	size_t most = s->drop ? 1 : LARGEST;
	u64 before = s->frames;
	char buf[LARGEST];

	if (poll(&pfd, 1, timeout_ms) < 1)
		return false;
	while (read(s->fd, buf, most) >= 0) {
		/* Two looks at the clock a run, not two a frame. */
		if (!s->frames++)
			s->first_ns = stall_now_ns();
	}
	if (errno != EAGAIN)
		ktap_bail("read: %s", strerror(errno));
	s->last_ns = stall_now_ns();
	return s->frames > before;
}

static void ignore_frame(void *arg, const void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
}

static bool take_vhost(struct sink *s, int timeout_ms)
{
	unsigned int n;

	/* When dropping, only the first time: what came is offered again. */
	vhost_offer(s->vhost, VHOST_BUFFERS);
	if (!vhost_wait(s->vhost, timeout_ms))
		return false;
	n = s->drop ? vhost_recycle(s->vhost) :
		      vhost_collect(s->vhost, ignore_frame, NULL);
	if (!n)
		return false;
	s->last_ns = stall_now_ns();
	if (!s->frames)
		s->first_ns = s->last_ns;
	s->frames += n;
	return true;
}

bool sink_take(struct sink *s, int timeout_ms)
{
	return s->vhost ? take_vhost(s, timeout_ms) : take_read(s, timeout_ms);
}

void sink_close(struct sink *s)
{
	if (s->vhost)
		vhost_close(s->vhost);
	s->vhost = NULL;
}
