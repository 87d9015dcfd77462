// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"
#include "reader.h"
#include "stall.h"
#include "task.h"
#include "uring.h"

#define TICK_NS 50000000L
#define BUF_SIZE 2048

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static const char * const names[READER_KINDS] = {
	[READER_READ] = "read",
	[READER_POLL] = "poll",
	[READER_READV] = "readv",
	[READER_VHOST] = "vhost",
	[READER_EPOLL] = "epoll",
	[READER_URING] = "iouring",
};

int reader_kind_of(const char *name)
{
	int i;

	for (i = 0; i < READER_KINDS; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *reader_name(enum reader_kind kind)
{
	return names[kind];
}

/* Only reads may be interrupted: a printf would lose its line. */
static void ticks(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	if (pthread_sigmask(how, &set, NULL))
		ktap_bail("pthread_sigmask: %s", strerror(errno));
}

/*
 * A regular tick, rather than one alarm per read: one that comes just before
 * the read is made up for by the next.
 */
static void ticker_start(struct reader *r)
{
	struct itimerspec every = {
		.it_interval.tv_nsec = TICK_NS,
		.it_value.tv_nsec = TICK_NS,
	};
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGALRM,
	};
	timer_t timer;

	ticks(SIG_BLOCK);
	ev.sigev_notify_thread_id = (int)syscall(SYS_gettid);
	task_interrupt_by(SIGALRM);
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		ktap_bail("ticker: %s", strerror(errno));
	r->ticker = malloc(sizeof(timer));
	if (!r->ticker)
		ktap_bail("no memory");
	memcpy(r->ticker, &timer, sizeof(timer));
}

static void ticker_stop(struct reader *r)
{
	timer_t timer;

	if (!r->ticker)
		return;
	memcpy(&timer, r->ticker, sizeof(timer));
	timer_delete(timer);
	free(r->ticker);
	r->ticker = NULL;
}

static void set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (flags < 0 || fcntl(fd, F_SETFL, flags))
		ktap_bail("O_NONBLOCK: %s", strerror(errno));
}

static bool nonblocking(enum reader_kind kind)
{
	return kind == READER_POLL || kind == READER_EPOLL;
}

int reader_epoll(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		ktap_bail("epoll: %s", strerror(errno));
	return epoll;
}

void reader_epoll_wait(int epoll, int timeout_ms)
{
	struct epoll_event ev;

	epoll_wait(epoll, &ev, 1, timeout_ms);
}

void reader_open(struct reader *r, enum reader_kind kind, int fd,
		 struct tally *tally, unsigned int stall_ms)
{
	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->fd = fd;
	r->tally = tally;
	r->stall_ms = stall_ms;
	/* vhost asks for no wait by itself, and a plain reader may share the file. */
	if (kind != READER_VHOST)
		set_nonblock(fd, nonblocking(kind));
	r->epoll = -1;
	if (kind == READER_VHOST)
		r->vhost = vhost_open();
	else if (kind == READER_EPOLL)
		r->epoll = reader_epoll(fd);
	else if (kind == READER_URING)
		r->uring = uring_open(fd);
	else if (kind != READER_POLL)
		ticker_start(r);
}

void reader_start(struct reader *r)
{
	if (r->vhost)
		vhost_attach(r->vhost, r->fd);
}

void reader_serve(struct reader *r, int fd, struct tally *tally)
{
	r->fd = fd;
	r->tally = tally;
	reader_start(r);
}

ssize_t reader_readv(int fd, char *buf, size_t size)
{
	struct iovec iov[2] = {
		{ buf, 22 },
		{ buf + 22, size - 22 },
	};

	return readv(fd, iov, 2);
}

static ssize_t read_once(struct reader *r, char *buf, const struct stall *st)
{
	if (r->kind == READER_READV)
		return reader_readv(r->fd, buf, BUF_SIZE);
	if (r->kind == READER_URING)
		return uring_read(r->uring, buf, BUF_SIZE, stall_left_ms(st));
	return read(r->fd, buf, BUF_SIZE);
}

static void wait_readable(struct reader *r, const struct stall *st)
{
	struct pollfd pfd = { .fd = r->fd, .events = POLLIN };

	if (r->kind == READER_EPOLL)
		reader_epoll_wait(r->epoll, stall_left_ms(st));
	else if (r->kind == READER_POLL)
		poll(&pfd, 1, stall_left_ms(st));
}

static unsigned int take_read(struct reader *r, unsigned int n)
{
	unsigned int got = 0;
	char buf[BUF_SIZE];
	struct stall st;
	int err = 0;
	ssize_t len;

	stall_start(&st, r->stall_ms);
	ticks(SIG_UNBLOCK);
	while (got < n) {
		len = read_once(r, buf, &st);
		if (len >= 0) {
			tally_frame(r->tally, buf, (size_t)len);
			got++;
			continue;
		}
		if (errno != EINTR && errno != EAGAIN) {
			err = errno;
			break;
		}
		stall_note(&st, got);
		if (stall_over(&st))
			break;
		if (errno == EAGAIN)
			wait_readable(r, &st);
	}
	ticks(SIG_BLOCK);
	if (err)
		ktap_diag("read: %s", strerror(err));
	/* A request left behind would read what is nobody's to read. */
	len = got < n && r->uring ? uring_cancel(r->uring, buf, BUF_SIZE) : -1;
	if (len >= 0) {
		tally_frame(r->tally, buf, (size_t)len);
		got++;
	}
	return got;
}

static unsigned int take_vhost(struct reader *r, unsigned int n)
{
	unsigned int got = 0, missing;
	struct stall st;

	stall_start(&st, r->stall_ms);
	while (got < n && !stall_over(&st)) {
		missing = n - got;
		if (vhost_pending(r->vhost) < missing)
			vhost_offer(r->vhost,
				    missing - vhost_pending(r->vhost));
		vhost_wait(r->vhost, stall_left_ms(&st));
		got += vhost_collect(r->vhost, tally_take, r->tally);
		stall_note(&st, got);
	}
	return got;
}

unsigned int reader_take(struct reader *r, unsigned int n)
{
	if (r->kind == READER_VHOST)
		return take_vhost(r, n);
	return take_read(r, n);
}

void reader_hold(struct reader *r)
{
	reader_start(r);
	if (reader_take(r, 1) != 1)
		ktap_bail("vhost delivers nothing");
}

unsigned int reader_rest(struct reader *r)
{
	unsigned int got = 0;
	char buf[BUF_SIZE];
	ssize_t len;

	if (r->vhost) {
		vhost_detach(r->vhost);
		/* Nothing is filled any more: what was is ours. */
		got += vhost_collect(r->vhost, tally_take, r->tally);
	}
	set_nonblock(r->fd, true);
	do {
		len = read(r->fd, buf, sizeof(buf));
		if (len < 0)
			continue;
		tally_frame(r->tally, buf, (size_t)len);
		got++;
	} while (len >= 0 || errno == EINTR);
	set_nonblock(r->fd, nonblocking(r->kind));
	return got;
}

void reader_close(struct reader *r)
{
	ticker_stop(r);
	if (r->vhost)
		vhost_close(r->vhost);
	if (r->uring)
		uring_close(r->uring);
	if (r->epoll >= 0)
		close(r->epoll);
	r->vhost = NULL;
	r->uring = NULL;
	r->epoll = -1;
}
