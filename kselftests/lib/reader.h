/* SPDX-License-Identifier: GPL-2.0-only */
/* One way to take frames out of a queue, six ways to do it. */
#ifndef KSERIES_READER_H
#define KSERIES_READER_H

#include <sys/types.h>

#include "frame.h"
#include "types.h"
#include "vhost.h"

enum reader_kind {
	READER_READ,	/* blocking read */
	/* O_NONBLOCK and poll; how else one waits is nothing to the driver. */
	READER_POLL,
	READER_READV,	/* blocking readv in two pieces */
	READER_VHOST,	/* vhost-net, one buffer a frame */
	/* O_NONBLOCK and epoll, told only of what is new (EPOLLET) */
	READER_EPOLL,
	READER_URING,	/* IORING_OP_READ */
	READER_KINDS,
};

struct reader {
	enum reader_kind kind;
	int fd;
	unsigned int stall_ms;
	struct tally *tally;
	struct vhost *vhost;
	struct uring *uring;
	int epoll;
	void *ticker;
};

/* -1 for a name that is none. */
int reader_kind_of(const char *name);
const char *reader_name(enum reader_kind kind);
/* An epoll descriptor on @fd, edge triggered: wait only after an EAGAIN. */
int reader_epoll(int fd);
/* Until something new is there to be read. */
void reader_epoll_wait(int epoll, int timeout_ms);

/* One frame in two pieces, of which the first ends inside the IP header. */
ssize_t reader_readv(int fd, char *buf, size_t size);

/*
 * Call this in the thread that will read: the tick which ends a blocking read
 * goes to that thread. With vhost nothing is taken before reader_start().
 */
void reader_open(struct reader *r, enum reader_kind kind, int fd,
		 struct tally *tally, unsigned int stall_ms);
/* vhost attaches here, and takes a first batch; the others do nothing. */
void reader_start(struct reader *r);
/* The same with another queue: from now on @tally has what comes out of it. */
void reader_serve(struct reader *r, int fd, struct tally *tally);
/* As reader_start(), and it takes one frame: vhost then holds the ring's others. */
void reader_hold(struct reader *r);
/* Consume exactly @n; less only after stall_ms without a single frame. */
unsigned int reader_take(struct reader *r, unsigned int n);
/*
 * Let go of the queue (vhost returns what it holds), then read without
 * waiting until there is nothing; returns how many frames that were.
 */
unsigned int reader_rest(struct reader *r);
void reader_close(struct reader *r);

#endif
