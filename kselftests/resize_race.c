// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring is replaced all the time while one thread sends and another reads.
 *
 * A change of txqueuelen frees the old array of slots at once, without RCU, so
 * whoever looks at a slot without one of the ring's locks looks at freed memory
 * now and then. It also throws away what the qdisc holds, and of the ring what
 * no longer fits. None of that is lost from sight: each frame that was tried
 * either comes out or is freed by kfree_skb().
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "drain.h"
#include "drops.h"
#include "flows.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"

#define MONITOR_NS (2 * NSEC_PER_MSEC)
/* What a sender may be ahead of the reader, in frames beyond the ring. */
#define AHEAD 8
/* How long a change waits for frames to flow before it comes. */
#define FLOW_NS (3 * NSEC_PER_MSEC)

struct race {
	struct scenario sc;
	struct bench bench;
	unsigned int frames;
	unsigned int resizes;
	struct flows out;
	u64 tried;
	u64 ok;
	u64 netdown;		/* refused since the queue was stopped under noqueue */
	u64 resized;
	u64 ended;		/* threads that have done their part */
	bool stop;
	int sender_cpu;
};

static void *send_all(void *arg)
{
	struct race *ra = arg;
	u32 rnd = rnd_start(ra->sc.seed, 1);
	struct jitter jt;
	struct sender s;

	cpu_pin(ra->sender_cpu);
	bench_sender(&ra->bench, &ra->sc, &s, false);
	s.frame.port = FLOWS_PORT;
	jitter_start(&jt, &rnd, 3);
	/* The last ones go when nobody changes the ring any more. */
	while (!shared_get(ra->stop) &&
	       (ra->tried < ra->frames || shared_get(ra->resized) < ra->resizes)) {
		enum send_result res = sender_send(&s);

		if (res == SEND_OTHER)
			ktap_bail("send: %s", strerror(s.error));
		if (res == SEND_NETDOWN)
			shared_add(ra->netdown, 1);
		/* A refused frame was freed as well, one that waits was not. */
		if (res != SEND_BLOCKED)
			shared_add(ra->tried, 1);
		if (res == SEND_OK)
			shared_add(ra->ok, 1);
		else if (res != SEND_BLOCKED)
			s.frame.seq++;
		else
			sched_yield();
		if (!rnd_below(&rnd, 16))
			rnd_pause(&rnd, 4000);
	}
	jitter_end(&jt);
	sender_close(&s);
	shared_add(ra->ended, 1);
	return NULL;
}

/*
 * Mostly while sender and reader are at it, and not only just after the last
 * change: the core takes the qdisc away meanwhile.
 */
static void let_flow(struct race *ra, unsigned int frames)
{
	u64 since = stall_now_ns(), until = shared_get(ra->out.frames) + frames;

	while (shared_get(ra->out.frames) < until &&
	       stall_now_ns() - since < FLOW_NS)
		load_wait(since);
}

static void *resize_all(void *arg)
{
	static const unsigned int lens[] = { 1, 2, 3, 8, 16, 31, 32, 64, 500 };
	struct race *ra = arg;
	u32 rnd = rnd_start(ra->sc.seed, 2);
	unsigned int i;

	for (i = 1; i < ra->resizes && !shared_get(ra->stop); i++) {
		let_flow(ra, rnd_below(&rnd, 50));
		netdev_txqueuelen(ra->bench.dev,
				  lens[rnd_below(&rnd, ARRAY_SIZE(lens))]);
		shared_set(ra->resized, i);
	}
	netdev_txqueuelen(ra->bench.dev, ra->sc.len);
	shared_set(ra->resized, ra->resizes);
	shared_add(ra->ended, 1);
	return NULL;
}

static u64 accounted(struct race *ra)
{
	return shared_get(ra->out.frames) + drops_count();
}

/* Until every frame that was tried has come out or was freed; false: stalled. */
static bool monitor(struct race *ra)
{
	struct stall st;

	stall_start(&st, ra->sc.stall_ms);
	while (!stall_over(&st)) {
		stall_nap(MONITOR_NS);
		/* The threads' own progress is none: frames must come out. */
		stall_note(&st, shared_get(ra->out.frames));
		if (shared_get(ra->ended) == 2 &&
		    accounted(ra) >= shared_get(ra->tried))
			return true;
	}
	return false;
}

static void report(struct race *ra, bool flowed)
{
	u64 freed = drops_count();
	struct qdisc_stats qd;

	qdisc_read(ra->bench.dev, &qd);
	ktap_figure("tried", (long long)ra->tried, "frames");
	ktap_figure("accepted", (long long)ra->ok, "frames");
	ktap_figure("delivered", (long long)ra->out.frames, "frames");
	ktap_figure("freed", (long long)freed, "frames");
	ktap_figure("resizes", (long long)ra->resized, NULL);
	if (!ktap_ok(flowed, "no stall: every frame came out or was freed"))
		ktap_diag("backlog %u, resized %llu times", qd.qlen,
			  (unsigned long long)ra->resized);
	ktap_ok(!flows_repeated(&ra->out) && !ra->out.stray,
		"frames come out once, in order");
	ktap_ok(ra->out.frames + freed == ra->tried,
		"tried is delivered and freed");
	ktap_ok(!ra->netdown, "no queue is found stopped by who cannot wait: %llu times",
		ra->netdown);
}

static void race(struct race *ra)
{
	pthread_t sender, resizer;
	int cpu[CPU_SETSIZE];
	unsigned int n = cpus_allowed(cpu, CPU_SETSIZE);
	struct drain reader = {
		.kind = ra->sc.reader,
		.fd = ra->bench.fd[0],
		.cpu = cpu[n - 1],
		.len = AHEAD,
		.rnd = rnd_start(ra->sc.seed, 0),
		.out = &ra->out,
		.sent = &ra->tried,
	};
	bool flowed;

	ra->sender_cpu = cpu[0];
	bench_count_freed(&ra->sc);
	drain_start(&reader);
	if (pthread_create(&sender, NULL, send_all, ra) ||
	    pthread_create(&resizer, NULL, resize_all, ra))
		ktap_bail("no thread");
	flowed = monitor(ra);
	shared_set(ra->stop, true);
	pthread_join(sender, NULL);
	pthread_join(resizer, NULL);
	drain_end(&reader);
	report(ra, flowed);
	drops_stop();
}

int main(int argc, char **argv)
{
	struct race ra = { .frames = 3000, .resizes = 40 };
	const struct scenario_option options[] = {
		{ "frames", &ra.frames, "to be tried, at least" },
		{ "resizes", &ra.resizes, "of the ring meanwhile" },
	};

	scenario_parse(&ra.sc, argc, argv, options, ARRAY_SIZE(options));
	if (!ra.resizes || !ra.sc.len || !scenario_owns_queue(&ra.sc))
		ktap_bail("resize_race takes tun or tap, a length and resizes above 0");
	ktap_plan(4);
	ra.sc.own_protocol = true;
	netns_enter();
	bench_open(&ra.bench, &ra.sc, "race0");
	flows_start(&ra.out, 1, scenario_ether(&ra.sc), ra.bench.cookie);
	race(&ra);
	bench_close(&ra.bench);
	return ktap_status();
}
