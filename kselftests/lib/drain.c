// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "drain.h"
#include "ktap.h"
#include "load.h"
#include "stall.h"
#include "task.h"
#include "trap.h"
#include "uring.h"

#define IDLE_NS 300000
#define WAIT_MS 50
#define NUDGE_NS (2 * NSEC_PER_MSEC)

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
	u64 since = stall_now_ns();

	while (shared_get(*dr->sent) - dr->out->frames < dr->gather &&
	       stall_now_ns() - since < IDLE_NS / 2 && !shared_get(dr->stop))
		load_wait(since);
	rnd_pause(&dr->rnd, dr->pause);
}

/* Spinning is over when nothing has come for a while. */
static bool still_spins(const struct drain *dr, u64 idle_since)
{
	return dr->spin &&
	       (!idle_since || stall_now_ns() - idle_since < IDLE_NS);
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
	if (dr->kind == READER_URING)
		return uring_read(dr->uring, buf, size, spin ? 0 : WAIT_MS);
	if (!spin && dr->kind == READER_POLL)
		poll(&pfd, 1, WAIT_MS);
	else if (!spin && dr->kind == READER_EPOLL && dr->dry)
		reader_epoll_wait(dr->epoll, WAIT_MS);
	if (spin || dr->kind == READER_POLL || dr->kind == READER_EPOLL)
		return preadv2(dr->fd, iov, 2, -1, RWF_NOWAIT);
	return readv(dr->fd, iov, 2);
}

static void open_reader(struct drain *dr)
{
	dr->epoll = dr->kind == READER_EPOLL ? reader_epoll(dr->fd) : -1;
	dr->uring = dr->kind == READER_URING ? uring_open(dr->fd) : NULL;
}

static void close_reader(struct drain *dr)
{
	char buf[FRAME_MAX];
	ssize_t len;

	if (dr->epoll >= 0)
		close(dr->epoll);
	if (!dr->uring)
		return;
	len = uring_cancel(dr->uring, buf, sizeof(buf));
	if (len >= 0)
		flows_frame(dr->out, buf, (size_t)len);
	uring_close(dr->uring);
}

static void take_by_read(struct drain *dr)
{
	char buf[FRAME_MAX];
	u64 idle = 0;
	ssize_t len;

	while (!shared_get(dr->stop)) {
		if (!dr->left)
			new_manner(dr);
		len = read_frame(dr, buf, sizeof(buf),
				 still_spins(dr, idle));
		dr->dry = len < 0 && errno == EAGAIN;
		if (len < 0) {
			if (errno != EAGAIN && errno != EINTR) {
				dr->error = errno;
				return;
			}
			idle = idle ? idle : stall_now_ns();
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
	unsigned int got;

	vhost_attach(v, dr->fd);
	while (!shared_get(dr->stop)) {
		if (!dr->left)
			new_manner(dr);
		/* Buffers hold the worker back, or else it runs as it likes. */
		if (dr->gather && !vhost_pending(v)) {
			gather(dr);
			vhost_offer(v, dr->left);
		} else if (!dr->gather && vhost_pending(v) < VHOST_BUFFERS / 2) {
			vhost_offer(v, VHOST_BUFFERS);
		}
		/* It needs this CPU: do not spin on it. */
		vhost_wait(v, WAIT_MS);
		got = vhost_collect(v, vhost_frame, dr->out);
		dr->left -= min(got, dr->left);
	}
	vhost_detach(v);
	vhost_collect(v, vhost_frame, dr->out);
	vhost_close(v);
}

static void *drain_thread(void *arg)
{
	struct drain *dr = arg;
	struct trap tr = {};

	cpu_pin(dr->cpu);
	if (dr->kind == READER_VHOST) {
		take_by_vhost(dr);
	} else {
		open_reader(dr);
		if (dr->slots) {
			trap_open(&tr, dr->slots, dr->len);
			trap_set(&tr, true);
		}
		take_by_read(dr);
		dr->traps = trap_close(&tr);
		close_reader(dr);
	}
	shared_set(dr->ended, true);
	return NULL;
}

void drain_start(struct drain *dr)
{
	task_interrupt_by(SIGUSR1);
	dr->stop = false;
	dr->ended = false;
	dr->error = 0;
	if (pthread_create(&dr->thread, NULL, drain_thread, dr))
		ktap_bail("no thread");
}

void drain_end(struct drain *dr)
{
	shared_set(dr->stop, true);
	/* Again and again: a signal just before the read is lost on it. */
	while (pthread_tryjoin_np(dr->thread, NULL)) {
		pthread_kill(dr->thread, SIGUSR1);
		stall_nap(NUDGE_NS);
	}
}
