// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "bpf.h"
#include "ktap.h"
#include "load.h"
#include "multi.h"
#include "netdev.h"
#include "stall.h"

/* No longer than this in one poll, to see in time that all is over. */
#define POLL_MS 5

static void got_frame(void *arg, const void *buf, size_t len)
{
	struct multi_queue *q = arg;

	flows_frame(&q->out, buf, len);
}

void multi_open(struct multi *m, const char *child)
{
	bool ether = scenario_ether(&m->sc);
	struct multi_queue *q;
	unsigned int i;

	m->sc.multi_queue = true;
	bench_open(&m->b, &m->sc, "kst0");
	bpf_steer_by_port(m->b.fd[0], ether, FLOWS_PORT);
	for (i = 0; i < m->sc.queues; i++) {
		if (!strcmp(m->sc.qdisc, "mq"))
			qdisc_replace_at(m->b.dev, child, QDISC_CHILD(i + 1));
		q = &m->queue[i];
		q->m = m;
		q->nr = i;
		flows_start(&q->out, FLOWS_MAX, ether, m->b.cookie);
		intake_open(&q->in, m->b.fd[i], false, got_frame, q);
	}
	for (i = 0; i < FLOWS_MAX; i++) {
		bench_sender(&m->b, &m->sc, &m->sender[i], false);
		m->sender[i].frame.port = (u16)(FLOWS_PORT + i);
	}
}

void multi_close(struct multi *m)
{
	unsigned int i;

	for (i = 0; i < m->sc.queues; i++)
		intake_close(&m->queue[i].in);
	for (i = 0; i < FLOWS_MAX; i++)
		sender_close(&m->sender[i]);
	bench_close(&m->b);
}

void multi_child(const struct multi *m, unsigned int q, struct qdisc_stats *st)
{
	qdisc_read_at(m->b.dev, QDISC_CHILD(q + 1), st);
}

unsigned int multi_take(struct multi *m, unsigned int q, unsigned int n)
{
	return intake_take(&m->queue[q].in, n, m->sc.stall_ms);
}

static void *read_all(void *arg)
{
	struct multi_queue *q = arg;
	struct multi *m = q->m;
	int cpu[CPU_SETSIZE];
	unsigned int n = cpus_allowed(cpu, CPU_SETSIZE);

	/* The other way round than the senders. */
	cpu_pin(cpu[n - 1 - q->nr % n]);
	while (!shared_get(m->stop))
		intake_some(&q->in, POLL_MS);
	return NULL;
}

static void insist(struct multi *m, struct sender *s)
{
	u64 since = stall_now_ns();

	/* pfifo_fast holds no more than the ring does. */
	while (sender_send(s) != SEND_OK && !shared_get(m->stop)) {
		if (s->error && !s->count[SEND_NOBUFS])
			ktap_bail("send: %s", strerror(s->error));
		load_wait(since);
	}
}

static void *send_all(void *arg)
{
	struct multi_sending *me = arg;
	struct multi *m = me->m;
	struct sender *s = &m->sender[me->nr * m->sc.queues];
	int cpu[CPU_SETSIZE];
	unsigned int i, q, n = cpus_allowed(cpu, CPU_SETSIZE);

	cpu_pin(cpu[me->nr % n]);
	for (q = 0; q < m->sc.queues; q++)
		sender_send_many(&s[q], m->burst);
	pthread_barrier_wait(&m->start);
	for (i = 0; i < m->frames; i++)
		for (q = 0; q < m->sc.queues && !shared_get(m->stop); q++)
			insist(m, &s[q]);
	shared_add(m->busy, -1);
	return NULL;
}

static u64 count_accepted(const struct multi *m)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < m->senders * m->sc.queues; i++)
		sum += shared_get(m->sender[i].count[SEND_OK]);
	return sum;
}

u64 multi_delivered(const struct multi *m)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < m->sc.queues; i++)
		sum += shared_get(m->queue[i].out.frames);
	return sum;
}

/* True when all is out, or was dropped; false after a stall. */
static bool monitor(struct multi *m)
{
	struct netdev_stats dev;
	struct stall st;
	u64 out;

	stall_start(&st, m->sc.stall_ms);
	do {
		stall_nap(2 * NSEC_PER_MSEC);
		netdev_stats(m->b.dev, &dev);
		out = multi_delivered(m) + dev.tx_dropped;
		if (!shared_get(m->busy) && out == count_accepted(m))
			return true;
		stall_note(&st, out + count_accepted(m));
	} while (!stall_over(&st));
	return false;
}

static void start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	if (pthread_create(thread, NULL, fn, arg))
		ktap_bail("no thread");
}

void multi_run(struct multi *m, unsigned int burst)
{
	u64 since = stall_now_ns();
	unsigned int i;

	if (!m->senders || m->senders * m->sc.queues > FLOWS_MAX)
		ktap_bail("%d flows at most", FLOWS_MAX);
	m->burst = burst;
	m->busy = m->senders;
	pthread_barrier_init(&m->start, NULL, m->senders + 1);
	for (i = 0; i < m->senders; i++) {
		m->sending[i] = (struct multi_sending) { .m = m, .nr = i };
		start(&m->sending[i].thread, send_all, &m->sending[i]);
	}
	pthread_barrier_wait(&m->start);
	for (i = 0; i < m->sc.queues; i++)
		start(&m->queue[i].thread, read_all, &m->queue[i]);
	m->stalled = !monitor(m);
	shared_set(m->stop, true);
	for (i = 0; i < m->senders; i++)
		pthread_join(m->sending[i].thread, NULL);
	for (i = 0; i < m->sc.queues; i++)
		pthread_join(m->queue[i].thread, NULL);
	pthread_barrier_destroy(&m->start);
	m->accepted = count_accepted(m);
	m->elapsed_ns = stall_now_ns() - since;
}

u64 multi_wrong(const struct multi *m)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < m->sc.queues; i++)
		sum += flows_missing(&m->queue[i].out) +
		       flows_repeated(&m->queue[i].out) +
		       m->queue[i].out.stray;
	return sum;
}

u64 multi_astray(const struct multi *m)
{
	unsigned int i, f;
	u64 sum = 0;

	for (i = 0; i < m->sc.queues; i++)
		for (f = 0; f < FLOWS_MAX; f++)
			if (f % m->sc.queues != i)
				sum += m->queue[i].out.tally[f].frames;
	return sum;
}
