// SPDX-License-Identifier: GPL-2.0-only
/*
 * Senders and a reader on CPUs of their own, over a small ring, for a while.
 *
 * What this is after is the queue that stays stopped over a ring which the
 * reader has just emptied. The reader must get through the whole ring between
 * the driver's look at it and the stop, so it mostly spins instead of waiting
 * to be woken; and the senders keep little more in flight than the ring holds,
 * so that each of them fills it itself, on its own CPU, rather than leaving
 * that to the softirq which the reader's wake raises on the reader's CPU.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "bpf.h"
#include "drain.h"
#include "drops.h"
#include "flows.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"
#include "trap.h"

#define MONITOR_NS (2 * NSEC_PER_MSEC)
#define OVERFULL_MS 200
#define COLLECT_TICKS 50
#define READERS_MAX 2

struct soak {
	struct scenario sc;
	struct bench bench;
	unsigned int frames;
	unsigned int senders;
	unsigned int ms;
	unsigned int listen;
	unsigned int jitter;
	unsigned int trap;
	unsigned int readers;
	unsigned int queue;
	u64 slots;		/* where the ring's are */
	struct flows out[READERS_MAX];	/* what each reader got */
	struct flows seen;	/* what a packet tap saw */
	struct listener listener;
	u64 send_until;
	u64 accepted;
	u64 traps;
	u64 full;		/* sends that came back with ENOBUFS */
	unsigned int sending;	/* senders not yet done */
	bool lossy;		/* the driver drops: that is enough to know */
	bool stop;
};

struct sending {
	struct soak *so;
	pthread_t thread;
	unsigned int nr;
	unsigned int frames;
	int cpu;
};

static u64 delivered(const struct soak *so)
{
	return shared_get(so->out[0].frames) + shared_get(so->out[1].frames);
}

static u64 outstanding(struct soak *so)
{
	/* In this order: what is delivered was accepted before. */
	u64 out = delivered(so);
	u64 in = shared_get(so->accepted);

	return in > out ? in - out : 0;
}

/*
 * In step with the reader. Spinning for longer than a moment helps nobody: on a
 * busy machine it may be what keeps the reader's CPU from running.
 */
static void wait_below(struct soak *so, unsigned int most)
{
	u64 since = stall_now_ns();

	while (outstanding(so) >= most && !shared_get(so->stop) &&
	       !shared_get(so->lossy))
		load_wait(since);
}

static void send_one(struct soak *so, struct sender *s)
{
	enum send_result res;
	u64 since = 0;

	do {
		/* Counted first: the reader may be faster than this thread. */
		shared_add(so->accepted, 1);
		res = sender_send(s);
		if (res == SEND_OK)
			return;
		shared_add(so->accepted, -1);
		if (res != SEND_NOBUFS)
			ktap_bail("send: %s", strerror(s->error));
		shared_add(so->full, 1);
		/* Without a qdisc that was a frame dropped, not one refused. */
		if (!qdisc_holds(so->sc.qdisc)) {
			s->frame.seq++;
			return;
		}
		if (!since)
			since = stall_now_ns();
		load_wait(since);
	} while (!shared_get(so->stop));
}

/* What may be in flight: mostly just enough to fill the ring and stop. */
static unsigned int pick_window(struct soak *so, u32 *rnd)
{
	switch (rnd_below(rnd, 8)) {
	case 0:
		return so->sc.len;
	case 1:
		return 2 * so->sc.len + 4 + 60 * rnd_below(rnd, 2);
	default:
		return so->sc.len + 1 + rnd_below(rnd, 3);
	}
}

static void *send_all(void *arg)
{
	static const unsigned int pauses[] = { 0, 0, 0, 100, 1000, 6000 };
	struct sending *me = arg;
	struct soak *so = me->so;
	u32 rnd = rnd_start(so->sc.seed, me->nr + 1);
	unsigned int i, left = 0, window = 1, pause = 0;
	bool burst = false;
	struct jitter jt;
	struct sender s;
	struct trap tr;

	cpu_pin(me->cpu);
	bench_sender(&so->bench, &so->sc, &s, false);
	s.frame.port = (u16)(FLOWS_PORT + me->nr);
	jitter_start(&jt, &rnd, so->jitter);
	trap_open(&tr, so->slots, so->sc.len);
	for (i = 0; i < me->frames && !shared_get(so->stop) &&
	     !shared_get(so->lossy); i++) {
		if (!left--) {
			if (stall_now_ns() > so->send_until)
				break;
			left = rnd_below(&rnd, 16 * so->sc.len + 64);
			window = pick_window(so, &rnd);
			/* Once it is overfull in any case. */
			if (!i)
				window = max(window, so->sc.len + 1);
			burst = rnd_below(&rnd, 4);
			/* The first time in any case: it must be seen to work. */
			trap_set(&tr, rnd_below(&rnd, 8) < so->trap ||
				 (so->trap && !i));
			pause = pauses[rnd_below(&rnd, ARRAY_SIZE(pauses))];
		}
		/* Start again on an empty ring, or go on when one is out. */
		if (outstanding(so) >= window)
			wait_below(so, burst ? 1 : window);
		send_one(so, &s);
		rnd_pause(&rnd, pause);
	}
	shared_add(so->traps, trap_close(&tr));
	jitter_end(&jt);
	sender_close(&s);
	shared_add(so->sending, -1);
	return NULL;
}

static u64 tx_dropped(const struct soak *so)
{
	struct netdev_stats st;

	netdev_stats(so->bench.dev, &st);
	return st.tx_dropped;
}

/* A frame past the qdisc comes back from a queue that is stopped. */
static bool probe_refused(struct soak *so)
{
	u64 before = tx_dropped(so);
	struct sender s;
	bool refused;

	bench_sender(&so->bench, &so->sc, &s, true);
	/* No flow's, and of the same queue. */
	s.frame.port = so->queue ? FLOWS_PORT + 2 : FLOWS_PORT - 1;
	refused = sender_send(&s) == SEND_NOBUFS && tx_dropped(so) == before;
	sender_close(&s);
	return refused;
}

/* Until all is out, or nothing moves for too long. True when all is well. */
static bool monitor(struct soak *so)
{
	bool done = false, holds = qdisc_holds(so->sc.qdisc);
	unsigned int ticks = 0;
	u64 dropped, out;
	struct qdisc_stats qd;
	struct stall st;

	stall_start(&st, so->sc.stall_ms);
	while (!done && !stall_over(&st)) {
		stall_nap(MONITOR_NS);
		/* Seldom: it costs the senders their CPU. */
		if (so->listen && !(++ticks % COLLECT_TICKS))
			flows_collect(&so->seen, &so->listener);
		/* What noqueue drops was refused to its sender. */
		dropped = holds ? tx_dropped(so) : 0;
		if (dropped)
			shared_set(so->lossy, true);
		out = delivered(so) + dropped;
		done = !shared_get(so->sending) && shared_get(so->accepted) == out;
		stall_note(&st, delivered(so) + shared_get(so->accepted) + done);
	}
	if (done)
		return true;
	qdisc_read(so->bench.dev, &qd);
	ktap_diag("stalled: backlog %u, delivered %llu of %llu, %u senders not done, queue %s",
		  qd.qlen, (unsigned long long)delivered(so),
		  (unsigned long long)shared_get(so->accepted), shared_get(so->sending),
		  probe_refused(so) ? "stopped" : "running");
	return false;
}

static void report(struct soak *so, bool flowed, u64 drops, u64 us)
{
	u64 lost = tx_dropped(so), stray = so->out[0].stray + so->out[1].stray;
	u64 twice = flows_repeated(&so->out[0]) + flows_repeated(&so->out[1]);
	u64 seen_twice = flows_repeated(&so->seen);
	bool holds = qdisc_holds(so->sc.qdisc), stopped = probe_refused(so);
	struct qdisc_stats qd;

	qdisc_read(so->bench.dev, &qd);
	ktap_figure("accepted", (long long)so->accepted, "frames");
	ktap_figure("delivered", (long long)delivered(so), "frames");
	ktap_figure("driver_drops", (long long)drops, "frames");
	ktap_figure("tx_dropped", (long long)lost, "frames");
	ktap_figure("requeues", qd.requeues, NULL);
	ktap_figure("send_enobufs", (long long)so->full, NULL);
	ktap_figure("traps", (long long)so->traps, NULL);
	ktap_figure("elapsed_us", (long long)us, "us");

	ktap_ok(flowed, "no stall: every frame came out or was dropped");
	ktap_ok(!twice && !stray, "each sender's frames once, in order");
	if (holds)
		ktap_ok(!drops && !lost, "the driver dropped nothing");
	else
		ktap_skip("noqueue drops, as in stock", "the driver dropped nothing");
	if (so->listen && holds)
		ktap_ok(!seen_twice, "no frame went to the driver twice");
	else
		ktap_skip("no packet tap", "no frame went to the driver twice");
	ktap_ok(!stopped, "the queue runs over the empty ring");
	if (so->trap && !so->lossy)
		ktap_ok(so->traps, "senders were held up at the ring's slots");
	else
		ktap_skip("no trap, or all over before",
			  "senders were held up at the ring's slots");
	if (twice || seen_twice)
		ktap_diag("%llu read twice or out of order, %llu seen twice by the tap",
			  (unsigned long long)twice,
			  (unsigned long long)seen_twice);
}

static void start_senders(struct soak *so, struct sending *se, const int *cpu,
			  unsigned int n)
{
	unsigned int i;

	so->sending = so->senders;
	for (i = 0; i < so->senders; i++) {
		se[i].so = so;
		se[i].nr = i;
		se[i].frames = so->frames / so->senders;
		/* The reader has the last CPU, alone if it can be. */
		se[i].cpu = cpu[n > 1 ? i % (n - 1) : 0];
		if (pthread_create(&se[i].thread, NULL, send_all, &se[i]))
			ktap_bail("no thread");
	}
}

/* The first has the last CPU; of one file, and each frame is one reader's. */
static void start_reader(struct soak *so, struct drain *dr, unsigned int nr,
			 const int *cpu, unsigned int n)
{
	*dr = (struct drain) {
		.kind = so->sc.reader,
		.fd = so->bench.fd[so->queue],
		.cpu = cpu[n - 1 - nr % n],
		.len = so->sc.len,
		.rnd = rnd_start(so->sc.seed, nr ? FLOWS_MAX + nr : 0),
		.out = &so->out[nr],
		.sent = &so->accepted,
	};
	drain_start(dr);
}

static void soak(struct soak *so)
{
	struct sending se[FLOWS_MAX] = {};
	int cpu[CPU_SETSIZE];
	unsigned int i, n = cpus_allowed(cpu, CPU_SETSIZE);
	struct drain reader[READERS_MAX];
	u64 start, end;
	bool flowed;

	ktap_diag("%u senders, the (first) reader on CPU %d, seed %u",
		  so->senders, cpu[n - 1], so->sc.seed);
	drops_start("FULL_RING");
	if (so->listen)
		listener_open(&so->listener, so->bench.dev,
			      scenario_ether(&so->sc));
	start = stall_now_ns();
	so->send_until = start + so->ms * NSEC_PER_MSEC;
	if (so->readers == 1)
		start_reader(so, &reader[0], 0, cpu, n);
	start_senders(so, se, cpu, n);
	/* Two may be too fast for the ring ever to be full, but for this. */
	if (so->readers > 1) {
		load_wait_for(&so->accepted, so->sc.len + 1, OVERFULL_MS);
		for (i = 0; i < so->readers; i++)
			start_reader(so, &reader[i], i, cpu, n);
	}
	flowed = monitor(so);
	end = stall_now_ns();
	shared_set(so->stop, true);
	for (i = 0; i < so->readers; i++)
		drain_end(&reader[i]);
	for (i = 0; i < so->senders; i++)
		pthread_join(se[i].thread, NULL);
	if (so->listen)
		flows_collect(&so->seen, &so->listener);
	report(so, flowed, drops_count(), (end - start) / 1000);
	drops_stop();
}

int main(int argc, char **argv)
{
	struct soak so = { .frames = 20000, .senders = 1, .ms = 5000,
			   .listen = 1, .jitter = 3, .trap = 4, .readers = 1 };
	const struct scenario_option options[] = {
		{ "frames", &so.frames, "to be sent by all senders together" },
		{ "senders", &so.senders, "at once" },
		{ "ms", &so.ms, "after which the senders end in any case" },
		{ "jitter", &so.jitter, "timer interrupts a millisecond, for each sender" },
		{ "trap", &so.trap, "in so many of 8 manners a sender is slow at the ring" },
		{ "listen", &so.listen, "0: without a packet tap" },
		{ "readers", &so.readers, "of the one file, at once (1; not vhost)" },
		{ "queue", &so.queue, "1: the second of two (0; with one sender)" },
	};

	unsigned int i;

	scenario_parse(&so.sc, argc, argv, options,
		       ARRAY_SIZE(options));
	if (!so.senders || so.senders > FLOWS_MAX || !so.sc.len ||
	    !scenario_owns_queue(&so.sc))
		ktap_bail("soak takes 1 to %d senders, a length above 0, tun or tap",
			  FLOWS_MAX);
	if (!so.readers || so.readers > READERS_MAX || so.queue > 1 ||
	    (so.readers > 1 && so.sc.reader == READER_VHOST) ||
	    (so.queue && so.senders > 1))
		ktap_bail("1 or 2 readers, not by vhost; the second queue has one sender");
	so.sc.queues = 1 + so.queue;
	ktap_plan(6);
	netns_enter();
	bench_open(&so.bench, &so.sc, "soak0");
	so.slots = trap_find(so.bench.dev, so.sc.len, so.queue);
	if (so.queue)
		bpf_steer_by_port(so.bench.fd[0], scenario_ether(&so.sc),
				  FLOWS_PORT - 1);
	for (i = 0; i < READERS_MAX; i++)
		flows_start(&so.out[i], so.senders, scenario_ether(&so.sc),
			    so.bench.cookie);
	flows_start(&so.seen, so.senders, scenario_ether(&so.sc),
		    so.bench.cookie);
	soak(&so);
	bench_close(&so.bench);
	return ktap_status();
}
