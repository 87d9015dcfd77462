// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "drain.h"
#include "ktap.h"
#include "load.h"

#define IDLE_SPINS 1000
#define GATHER_TURNS 20000
#define WAIT_MS 50
#define NUDGE_NS 2000000L

static void new_manner(struct drain *dr)
{
	static const unsigned int pauses[] = { 0, 0, 400, 3000 };
	static const unsigned int aims[] = { 300, 2000, 5000, 12000 };

	dr->left = 1 + rnd_below(&dr->rnd, 8 * dr->len + 16);
	if (dr->calm)
		return;
	dr->spin = rnd_below(&dr->rnd, 8);
	dr->gather = 0;
	if (dr->spin && rnd_below(&dr->rnd, 4)) {
		dr->gather = dr->len + !rnd_below(&dr->rnd, 4);
		dr->pause = aims[rnd_below(&dr->rnd, ARRAY_SIZE(aims))];
	} else {
		dr->pause = pauses[rnd_below(&dr->rnd, ARRAY_SIZE(pauses))];
	}
}

/*
 * Let the sender come as far as the frame that fills the ring, then some more,
 * and only then read: as fast as it goes, until there is nothing left.
 */
static void gather(struct drain *dr)
{
	unsigned int i;

	for (i = 0; i < GATHER_TURNS && !shared_get(dr->stop); i++)
		if (shared_get(*dr->sent) - dr->out->frames >= dr->gather)
			break;
	rnd_pause(&dr->rnd, dr->pause);
}

static ssize_t read_frame(struct drain *dr, void *buf, size_t size, bool spin)
{
	struct iovec iov[2] = {
		{ buf, 22 },
		{ (char *)buf + 22, size - 22 },
	};
	struct pollfd pfd = { .fd = dr->fd, .events = POLLIN };

	if (dr->kind != READER_READV) {
		iov[0].iov_len = size;
		iov[1].iov_len = 0;
	}
	if (!spin && dr->kind == READER_POLL)
		poll(&pfd, 1, WAIT_MS);
	if (spin || dr->kind == READER_POLL)
		return preadv2(dr->fd, iov, 2, -1, RWF_NOWAIT);
	return readv(dr->fd, iov, 2);
}

static void take_by_read(struct drain *dr)
{
	unsigned int idle = 0;
	char buf[FRAME_MAX];
	ssize_t len;

	while (!shared_get(dr->stop)) {
		if (!dr->left)
			new_manner(dr);
		len = read_frame(dr, buf, sizeof(buf),
				 dr->spin && idle < IDLE_SPINS);
		if (len < 0) {
			if (errno != EAGAIN && errno != EINTR) {
				dr->error = errno;
				return;
			}
			idle++;
			if (dr->gather)
				gather(dr);
			continue;
		}
		idle = 0;
		flows_frame(dr->out, buf, (size_t)len);
		dr->left--;
		if (!dr->gather)
			rnd_pause(&dr->rnd, dr->pause);
	}
}

static void vhost_frame(void *arg, const void *buf, size_t len)
{
	flows_frame(arg, buf, len);
}

static void take_by_vhost(struct drain *dr)
{
	/* Its worker inherits the CPU of this thread. */
	struct vhost *v = vhost_open();
	unsigned int idle = 0, got;

	vhost_attach(v, dr->fd);
	while (!shared_get(dr->stop)) {
		if (!dr->left)
			new_manner(dr);
		if (dr->gather)
			gather(dr);
		if (vhost_pending(v) < dr->left)
			vhost_offer(v, dr->left - vhost_pending(v));
		if (!dr->spin || idle > IDLE_SPINS)
			vhost_wait(v, WAIT_MS);
		got = vhost_collect(v, vhost_frame, dr->out);
		dr->left -= min(got, dr->left);
		idle = got ? 0 : idle + 1;
		if (!dr->gather)
			rnd_pause(&dr->rnd, dr->pause);
		/* The worker needs this CPU, too. */
		sched_yield();
	}
	vhost_detach(v);
	vhost_collect(v, vhost_frame, dr->out);
	vhost_close(v);
}

static void *drain_thread(void *arg)
{
	struct drain *dr = arg;

	cpu_pin(dr->cpu);
	if (dr->kind == READER_VHOST)
		take_by_vhost(dr);
	else
		take_by_read(dr);
	shared_set(dr->ended, true);
	return NULL;
}

static void nudge(int sig)
{
	(void)sig;
}

void drain_start(struct drain *dr)
{
	/* No SA_RESTART: it is there to interrupt. */
	struct sigaction sa = { .sa_handler = nudge };

	if (sigaction(SIGUSR1, &sa, NULL))
		ktap_bail("sigaction: %s", strerror(errno));
	dr->stop = false;
	dr->ended = false;
	dr->error = 0;
	if (pthread_create(&dr->thread, NULL, drain_thread, dr))
		ktap_bail("no thread");
}

void drain_end(struct drain *dr)
{
	const struct timespec tick = { .tv_nsec = NUDGE_NS };

	shared_set(dr->stop, true);
	/* Again and again: a signal just before the read is lost on it. */
	while (pthread_tryjoin_np(dr->thread, NULL)) {
		pthread_kill(dr->thread, SIGUSR1);
		nanosleep(&tick, NULL);
	}
}
