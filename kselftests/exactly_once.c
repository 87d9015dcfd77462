// SPDX-License-Identifier: GPL-2.0-only
/*
 * One to four senders in parallel over a small ring, through the qdisc, past
 * it, or both, and a reader beside them. The driver has no tx lock, so
 * past the qdisc they meet in it. Whatever came of that: a frame that was
 * accepted comes out once, in its flow's order, trimmed once, with one TX
 * timestamp, and one that was refused has none.
 *
 * Under noqueue a refused frame was dropped at the ring, after all of that.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "choice.h"
#include "drain.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"
#include "stamp.h"
#include "trim.h"

#define MONITOR_NS NSEC_PER_MSEC

enum way { WAY_THROUGH, WAY_PAST, WAY_BOTH };

static const char * const ways[] = { "through", "past", "both", NULL };
static const char * const paces[] = { "varied", "fast", NULL };

struct sending {
	struct test *t;
	pthread_t thread;
	int cpu;
	struct sender sender;
	struct stamps stamps;
};

struct test {
	struct scenario sc;
	struct bench bench;
	enum way way;
	unsigned int senders;
	unsigned int frames;
	struct flows out;
	u64 tried;
	u64 accepted;
	unsigned int sending;	/* senders not yet done */
	bool stop;
	struct sending se[FLOWS_MAX];
};

/* One frame; past the qdisc of a stopped queue it is tried until it goes. */
static void send_one(struct sending *me)
{
	struct test *t = me->t;
	enum send_result res;
	u64 since = stall_now_ns();

	do {
		shared_add(t->tried, 1);
		shared_add(t->accepted, 1);
		res = sender_send(&me->sender);
		if (res == SEND_OK)
			return;
		shared_add(t->accepted, -1);
		if (res != SEND_NOBUFS)
			ktap_bail("send: %s", strerror(me->sender.error));
		if (!qdisc_holds(t->sc.qdisc)) {
			me->sender.frame.seq++;
			return;
		}
		load_wait(since);
	} while (!shared_get(t->stop));
}

static void *send_all(void *arg)
{
	struct sending *me = arg;
	unsigned int i, n = me->t->frames / me->t->senders;

	cpu_pin(me->cpu);
	for (i = 0; i < n && !shared_get(me->t->stop); i++)
		send_one(me);
	shared_add(me->t->sending, -1);
	return NULL;
}

static void sender_start(struct test *t, unsigned int i, int cpu)
{
	bool past = t->way == WAY_PAST || (t->way == WAY_BOTH && i % 2);
	struct sending *me = &t->se[i];

	me->t = t;
	me->cpu = cpu;
	bench_sender(&t->bench, &t->sc, &me->sender, past);
	me->sender.frame.port = (u16)(FLOWS_PORT + i);
	me->sender.frame.tail = TRIM_TAIL;
	stamp_on(&me->sender);
	stamp_start(&me->stamps, scenario_ether(&t->sc), t->bench.cookie,
		    TRIM_LEFT);
	if (pthread_create(&me->thread, NULL, send_all, me))
		ktap_bail("no thread");
}

/* The ring has been found full at least once before anybody reads. */
static void wait_full(struct test *t)
{
	struct stall st;

	stall_start(&st, t->sc.stall_ms);
	while (shared_get(t->sending) &&
	       shared_get(t->tried) < 2ULL * t->sc.len + 8) {
		stall_note(&st, shared_get(t->tried));
		if (stall_over(&st))
			ktap_bail("the senders do not start");
		stall_nap(MONITOR_NS);
	}
}

/* Until all is out, or nothing moves for too long. True when all is well. */
static bool monitor(struct test *t)
{
	bool done = false;
	struct stall st;
	u64 out, lost;

	stall_start(&st, t->sc.stall_ms);
	while (!done && !stall_over(&st)) {
		stall_nap(MONITOR_NS);
		out = shared_get(t->out.frames);
		/* Stock, too, is told in figures and not by a stall. */
		lost = t->way == WAY_PAST ? 0 : drops_count();
		if (!qdisc_holds(t->sc.qdisc))
			lost = 0;
		done = !shared_get(t->sending) &&
		       shared_get(t->accepted) <= out + lost;
		stall_note(&st, out + shared_get(t->tried) + done);
	}
	if (!done)
		ktap_diag("stalled: %llu of %llu came out, %u senders not done",
			  (unsigned long long)t->out.frames,
			  (unsigned long long)t->accepted, t->sending);
	return done;
}

static void check_out(const struct test *t)
{
	u64 missing = flows_missing(&t->out), twice = flows_repeated(&t->out);
	bool holds = qdisc_holds(t->sc.qdisc);

	bool well = !twice && (!missing || !holds) && !t->out.stray;

	ktap_ok(well && t->out.frames == t->accepted,
		"what was accepted comes out once, in its flow's order, trimmed once: %llu of %llu, %llu missing, %llu repeated, %llu of another length",
		t->out.frames, t->accepted, missing, twice, t->out.stray);
}

/* Under noqueue all that were tried have one, the dropped ones as well. */
static void check_stamps(const struct test *t)
{
	bool holds = qdisc_holds(t->sc.qdisc), well = true;
	u64 stamped = 0, odd = 0, want = holds ? t->accepted : t->tried;
	const struct stamps *st;
	unsigned int i;

	for (i = 0; i < t->senders; i++) {
		st = &t->se[i].stamps;
		well = well && stamp_well(st) && !st->tally.missing;
		stamped += st->tally.frames;
		odd += st->tally.foreign;
		if (!stamp_well(st) || st->tally.missing)
			ktap_diag("%u: %llu missing, %llu twice, %llu odd, %llu blank, %llu back",
				  i, st->tally.missing, st->tally.repeated,
				  st->tally.foreign, st->blank, st->disorder);
	}
	ktap_ok(well && stamped == want,
		"one TX timestamp for each frame %s, trimmed once by then: %llu of %llu",
		holds ? "accepted" : "tried", stamped + odd, want);
}

static void check(struct test *t, bool flowed)
{
	bool holds = qdisc_holds(t->sc.qdisc);
	u64 drops = drops_count();
	unsigned int i, left = 0;

	for (i = 0; i < t->senders; i++) {
		stamp_collect(&t->se[i].stamps, &t->se[i].sender);
		left += stamp_memory(&t->se[i].sender);
	}
	ktap_figure("tried", (long long)t->tried, "frames");
	ktap_figure("accepted", (long long)t->accepted, "frames");
	ktap_figure("driver_drops", (long long)drops, "frames");
	ktap_ok(flowed, "no stall");
	check_out(t);
	check_stamps(t);
	ktap_ok(!left, "no frame counts against its sender any more: %u bytes",
		left);
	/* Nor does the driver drop what there is room for, if all ever sent fits. */
	ktap_ok(drops == (holds ? 0 : t->tried - t->accepted) &&
		(!drops || t->frames > t->sc.len),
		"driver drops: %llu", drops);
}

static void run(struct test *t, bool fast)
{
	int cpu[CPU_SETSIZE];
	unsigned int i, n = cpus_allowed(cpu, CPU_SETSIZE);
	struct drain reader = {
		.kind = t->sc.reader,
		.fd = t->bench.fd[0],
		.cpu = cpu[n - 1],
		.len = t->sc.len,
		.calm = fast,
		.rnd = rnd_start(t->sc.seed, 0),
		.out = &t->out,
		.sent = &t->accepted,
	};
	bool flowed;

	t->sending = t->senders;
	/* All CPUs, the reader's as well: there they cut into its work. */
	for (i = 0; i < t->senders; i++)
		sender_start(t, i, cpu[i % n]);
	wait_full(t);
	drain_start(&reader);
	flowed = monitor(t);
	shared_set(t->stop, true);
	drain_end(&reader);
	if (reader.error)
		ktap_bail("reader: %s", strerror(reader.error));
	for (i = 0; i < t->senders; i++)
		pthread_join(t->se[i].thread, NULL);
	check(t, flowed);
	for (i = 0; i < t->senders; i++)
		sender_close(&t->se[i].sender);
}

int main(int argc, char **argv)
{
	static struct test t = { .senders = 2, .frames = 1000 };
	const struct scenario_option extra[] = {
		{ "senders", &t.senders, "at once" },
		{ "frames", &t.frames, "of all senders together" },
	};
	bool fast = choice_take(&argc, argv, "pace", paces, 0);

	t.way = (enum way)choice_take(&argc, argv, "way", ways, WAY_THROUGH);
	scenario_parse(&t.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.sc);
	if (!t.senders || t.senders > FLOWS_MAX || !t.sc.len ||
	    !scenario_owns_queue(&t.sc))
		ktap_bail("1 to %d senders, a length above 0, tun or tap",
			  FLOWS_MAX);
	ktap_plan(5);
	netns_enter();
	bench_open(&t.bench, &t.sc, "once0");
	trim_attach(t.bench.fd[0]);
	flows_start(&t.out, t.senders, scenario_ether(&t.sc), t.bench.cookie);
	flows_tail(&t.out, TRIM_LEFT);
	drops_start("FULL_RING");
	run(&t, fast);
	drops_stop();
	bench_close(&t.bench);
	return ktap_status();
}
