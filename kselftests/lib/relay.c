// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "load.h"
#include "relay.h"
#include "stall.h"
#include "vhost.h"

#define WAIT_MS 20
#define LARGEST 2048

/* On the guest's clock: a slow host makes it no faster. */
static void pace(struct relay *re)
{
	u64 now = stall_now_ns();

	if (!re->frame_us)
		return;
	if (re->due_ns > now) {
		stall_nap(re->due_ns - now);
		now = stall_now_ns();
	}
	re->due_ns = now + re->frame_us * 1000ULL;
}

static void hand_over(struct relay *re, unsigned int from, const void *buf,
		      size_t len)
{
	int to = re->fd[!from];

	if (re->look)
		re->look(re->arg, from, buf, len);
	/* What the other does not take is lost, as on a wire. */
	if (to >= 0)
		(void)!write(to, buf, len);
	shared_add(re->frames[from], 1);
	pace(re);
}

static void vhost_frame(void *arg, const void *buf, size_t len)
{
	struct relay_end *end = arg;

	hand_over(end->relay, (unsigned int)(end - end->relay->end), buf, len);
}

static bool copy_some(struct relay *re, unsigned int from)
{
	struct vhost *vhost = re->end[from].vhost;
	char buf[LARGEST];
	ssize_t len;

	if (vhost) {
		vhost_offer(vhost, VHOST_BUFFERS);
		return vhost_collect(vhost, vhost_frame, &re->end[from]);
	}
	if (re->fd[from] < 0)
		return false;
	len = read(re->fd[from], buf, sizeof(buf));
	if (len > 0)
		hand_over(re, from, buf, (size_t)len);
	return len > 0;
}

static void *relay_thread(void *arg)
{
	struct relay *re = arg;
	/* poll() passes over a descriptor of -1. */
	struct pollfd pfd[2] = {
		{ .fd = re->fd[0], .events = POLLIN },
		{ .fd = re->fd[1], .events = POLLIN },
	};
	unsigned int i;
	bool some;

	for (i = 0; i < 2; i++)
		if (re->end[i].vhost)
			pfd[i].fd = vhost_call_fd(re->end[i].vhost);
	while (!shared_get(re->stop)) {
		some = copy_some(re, 0);
		some |= copy_some(re, 1);
		if (some || poll(pfd, 2, WAIT_MS) < 1)
			continue;
		/* A call is there until it is taken; a frame is by itself. */
		for (i = 0; i < 2; i++)
			if (pfd[i].revents && re->end[i].vhost)
				vhost_wait(re->end[i].vhost, 0);
	}
	return NULL;
}

void relay_start(struct relay *re)
{
	unsigned int i;
	int flags;

	for (i = 0; i < 2; i++) {
		if (re->fd[i] < 0)
			continue;
		flags = fcntl(re->fd[i], F_GETFL);
		if (flags < 0 || fcntl(re->fd[i], F_SETFL, flags | O_NONBLOCK))
			ktap_bail("O_NONBLOCK: %s", strerror(errno));
		if (!re->vhost)
			continue;
		re->end[i].relay = re;
		re->end[i].vhost = vhost_open_size(LARGEST);
		vhost_attach(re->end[i].vhost, re->fd[i]);
	}
	re->stop = false;
	re->due_ns = 0;
	if (pthread_create(&re->thread, NULL, relay_thread, re))
		ktap_bail("no thread");
}

void relay_end(struct relay *re)
{
	unsigned int i;

	shared_set(re->stop, true);
	pthread_join(re->thread, NULL);
	for (i = 0; i < 2; i++) {
		if (re->end[i].vhost)
			vhost_close(re->end[i].vhost);
		re->end[i].vhost = NULL;
	}
}
