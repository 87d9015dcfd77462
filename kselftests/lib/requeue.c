// SPDX-License-Identifier: GPL-2.0-only
/*
 * One queue is filled, taken off and put on again. Those beside it are left
 * empty: nothing but the driver itself will wake what was handed over to them.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "requeue.h"
#include "stall.h"

#define PORT_BASE 42000
/* So many that none of ten queues goes without, and in a round no more than needed. */
#define PORTS 256
#define PORTS_LEAST 8

struct requeue {
	const struct scenario *sc;
	struct bench bench;
	struct sender sender;
	bool attached[REQUEUE_MANY];
	/* Which of the queues a port's frames come out of. */
	unsigned int out[PORTS];
	unsigned int ports;	/* of the last round */
	unsigned int seen[REQUEUE_MANY];
	u64 read;
	u64 freed_before;
};

static void open_queues(struct requeue *rq, unsigned int queues)
{
	unsigned int i, flags = scenario_tuntap(rq->sc);
	struct bench *b = &rq->bench;

	b->dev = "requeue0";
	b->via = b->dev;
	b->cookie = rq->sc->seed;
	for (i = 0; i < queues; i++) {
		b->fd[i] = tuntap_open(b->dev, flags | IFF_MULTI_QUEUE);
		tuntap_nonblock(b->fd[i]);
		rq->attached[i] = true;
	}
	b->n_fds = queues;
	netdev_txqueuelen(b->dev, rq->sc->len);
	qdisc_replace(b->dev, rq->sc->qdisc);
	netdev_up(b->dev, true);
	bench_sender(b, rq->sc, &rq->sender, false);
}

/* Read what is there from @fd, looking for the frame @seq. */
static bool read_for(struct requeue *rq, int fd, u64 seq)
{
	struct frame f = {
		.ether = scenario_ether(rq->sc),
		.cookie = rq->bench.cookie,
	};
	char buf[FRAME_MAX];
	ssize_t len;

	while ((len = read(fd, buf, sizeof(buf))) >= 0) {
		rq->read++;
		if (frame_parse(buf, (size_t)len, &f) && f.seq == seq)
			return true;
	}
	return false;
}

/* The queue that frame @seq comes out of, or -1: it never does. */
static int await(struct requeue *rq, u64 seq)
{
	struct pollfd pfd[REQUEUE_MANY];
	unsigned int i, n = rq->bench.n_fds;
	struct stall st;

	stall_start(&st, rq->sc->stall_ms);
	do {
		for (i = 0; i < n; i++) {
			pfd[i].fd = rq->attached[i] ? rq->bench.fd[i] : -1;
			pfd[i].events = POLLIN;
		}
		poll(pfd, n, stall_left_ms(&st));
		for (i = 0; i < n; i++)
			if (pfd[i].fd >= 0 && read_for(rq, pfd[i].fd, seq))
				return (int)i;
	} while (!stall_over(&st));
	return -1;
}

static bool all_seen(const struct requeue *rq)
{
	unsigned int i;

	for (i = 0; i < rq->bench.n_fds; i++)
		if (rq->attached[i] && !rq->seen[i])
			return false;
	return true;
}

/*
 * What waited in the qdisc goes on by a softirq of its own, and until then there
 * may be no room in there.
 */
static enum send_result insist(struct requeue *rq)
{
	enum send_result result;
	struct stall st;

	stall_start(&st, rq->sc->stall_ms);
	while ((result = sender_send(&rq->sender)) == SEND_NOBUFS &&
	       !stall_over(&st))
		stall_breathe();
	return result;
}

/* A frame for each port, one after the other, through whatever is attached. */
static bool round_of(struct requeue *rq)
{
	struct sender *s = &rq->sender;
	unsigned int i;
	int where;

	memset(rq->seen, 0, sizeof(rq->seen));
	rq->ports = 0;
	for (i = 0; i < PORTS && (i < PORTS_LEAST || !all_seen(rq)); i++) {
		s->frame.port = (u16)(PORT_BASE + i);
		if (insist(rq) != SEND_OK) {
			ktap_diag("port %u: %s", i, strerror(s->error));
			return false;
		}
		where = await(rq, s->frame.seq - 1);
		if (where < 0) {
			ktap_diag("stalled: the frame of port %u stays inside", i);
			return false;
		}
		rq->out[i] = (unsigned int)where;
		rq->seen[where]++;
		rq->ports++;
	}
	if (all_seen(rq))
		return true;
	ktap_diag("nothing came out of one of the queues");
	return false;
}

static void fill_queue(struct requeue *rq, unsigned int queue, unsigned int n)
{
	unsigned int i = 0;

	while (i < rq->ports && rq->out[i] != queue)
		i++;
	if (i == rq->ports)
		ktap_bail("no port leads to queue %u", queue);
	rq->sender.frame.port = (u16)(PORT_BASE + i);
	sender_send_many(&rq->sender, n);
}

/* Once the device is gone, what did not come out was freed somewhere. */
static void check_balance(const struct requeue *rq)
{
	u64 tried = sender_tried(&rq->sender);
	u64 freed = drops_count() - rq->freed_before;

	if (!ktap_ok(tried == rq->read + freed, "none is lost without a trace"))
		ktap_diag("%llu tried, %llu came out, %llu were freed",
			  (unsigned long long)tried,
			  (unsigned long long)rq->read,
			  (unsigned long long)freed);
}

static void requeue_case(struct requeue *rq, unsigned int queues,
			 unsigned int queue, unsigned int fill)
{
	struct netdev_stats before, after;

	rq->freed_before = drops_count();
	open_queues(rq, queues);
	if (!round_of(rq))
		ktap_bail("frames do not reach the queues to begin with");
	fill_queue(rq, queue, fill);

	netdev_stats(rq->bench.dev, &before);
	tuntap_queue(rq->bench.fd[queue], false);
	netdev_stats(rq->bench.dev, &after);
	rq->attached[queue] = false;
	if (queues > 1)
		ktap_ok(round_of(rq) && after.tx_dropped == before.tx_dropped,
			"%u queues, %u detached: the others flow, nothing counts as dropped: %llu",
			queues, queue, after.tx_dropped - before.tx_dropped);
	else
		ktap_skip("no queue is left", "1 queue, 0 detached: the others flow");

	tuntap_queue(rq->bench.fd[queue], true);
	rq->attached[queue] = true;
	ktap_ok(round_of(rq), "%u queues, %u attached again: all flow", queues, queue);
	sender_close(&rq->sender);
	bench_close(&rq->bench);
	check_balance(rq);
}

void requeue_all(const struct scenario *sc, unsigned int fill)
{
	struct requeue many = { .sc = sc };
	unsigned int queues, queue;

	for (queues = 1; queues <= REQUEUE_MOST; queues++)
		for (queue = 0; queue < queues; queue++) {
			struct requeue rq = { .sc = sc };

			/* One in the middle stands for all. */
			if (queue > 1 && queue < queues - 1)
				continue;
			requeue_case(&rq, queues, queue, fill);
		}
	requeue_case(&many, REQUEUE_MANY, REQUEUE_MANY - 1, fill);
}
