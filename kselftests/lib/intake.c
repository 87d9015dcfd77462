// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "intake.h"
#include "ktap.h"
#include "netdev.h"
#include "stall.h"

void intake_open(struct intake *in, int fd, bool vhost, vhost_frame_fn frame,
		 void *arg)
{
	*in = (struct intake) { .fd = fd, .frame = frame, .arg = arg };
	tuntap_nonblock(fd);
	if (!vhost)
		return;
	in->vhost = vhost_open();
	vhost_attach(in->vhost, fd);
}

unsigned int intake_only(struct intake *in, unsigned int n)
{
	unsigned int got = 0;
	char buf[FRAME_MAX];
	ssize_t len;

	while (got < n) {
		len = read(in->fd, buf, sizeof(buf));
		if (len >= 0) {
			in->frame(in->arg, buf, (size_t)len);
			got++;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			ktap_bail("read: %s", strerror(errno));
		}
	}
	return got;
}

void intake_wait(struct intake *in, int timeout_ms)
{
	struct pollfd pfd = { .fd = in->fd, .events = POLLIN };

	poll(&pfd, 1, timeout_ms);
}

unsigned int intake_take(struct intake *in, unsigned int n, unsigned int stall_ms)
{
	unsigned int got = 0;
	struct stall st;

	stall_start(&st, stall_ms);
	for (;;) {
		got += intake_only(in, n - got);
		stall_note(&st, got);
		if (got == n || stall_over(&st))
			return got;
		intake_wait(in, stall_left_ms(&st));
	}
}

unsigned int intake_some(struct intake *in, int timeout_ms)
{
	if (in->vhost) {
		vhost_offer(in->vhost, VHOST_BUFFERS);
		vhost_wait(in->vhost, timeout_ms);
		return vhost_collect(in->vhost, in->frame, in->arg);
	}
	intake_wait(in, timeout_ms);
	return intake_only(in, ~0U);
}

unsigned int intake_close(struct intake *in)
{
	unsigned int got = 0;

	if (in->vhost) {
		vhost_detach(in->vhost);
		got = vhost_collect(in->vhost, in->frame, in->arg);
		vhost_close(in->vhost);
		in->vhost = NULL;
	}
	return got + intake_only(in, ~0U);
}
