// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever frames come from, one or several senders at a time: more than the
 * ring holds while nobody reads, then all that is there is read.
 *
 *   packet, udp, pktgen_queue  through the qdisc, which holds what has no room
 *   bypass                     past it: a stopped queue refuses
 *   pktgen                     past it: a stopped queue is tried again
 *   xdp                        into the ring, or dropped, whatever the queue
 *
 * With noqueue all of them are dropped when the ring is full.
 *
 * --beside-reader has the reader read meanwhile.
 */
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "bpf.h"
#include "choice.h"
#include "crew.h"
#include "drops.h"
#include "intake.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "stall.h"
#include "task.h"

static const char * const kernels[] = { "stock", "patched", NULL };

/* As often pktgen's threads leave their CPUs, each after a try at least. */
#define TIMES_OFF 10

struct test {
	struct scenario sc;
	struct bench b;
	struct crew crew;
	struct pktgen_tasks generators;	/* of a crew that insists */
	struct flows out;
	struct intake in;
	struct ledger l;
	struct sender own;	/* a flow beside the crew's */
	enum producer producer;
	bool patched;		/* only bypass has to know */
	unsigned int senders;
	unsigned int extra;
	unsigned int first;	/* are there when the crew begins */
	unsigned int each;
	u64 tried;
};

static void got_frame(void *arg, const void *buf, size_t len)
{
	struct test *t = arg;

	crew_frame(&t->crew, &t->out, buf, len);
}

static void look(struct test *t)
{
	struct tally sum = {
		.frames = t->out.frames,
		.missing = flows_missing(&t->out),
		.repeated = flows_repeated(&t->out),
		.foreign = t->out.stray,
	};
	struct sender s;

	crew_count(&t->crew, &s);
	sender_add(&s, &t->own);
	ledger_read(&t->l, &t->b, &s, &sum);
}

static bool all_counted(const struct ledger *l)
{
	return l->driver_drops && l->tx_dropped && l->enobufs;
}

/*
 * Its thread on this CPU leaves it for this one, and is back until the nap ends:
 * in between it has tried, once or hundreds of times. How long it was there
 * would not tell that, on a CPU that the host can stop.
 */
static void let_try(int tid, struct stall *st)
{
	u64 start = task_switches(tid), now;

	do {
		usleep(1000);
		now = task_switches(tid);
		stall_note(st, now);
	} while (now < start + TIMES_OFF && !stall_over(st));
}

/*
 * Until pktgen has tried what the ring does not take: of a stopped queue nothing
 * tells that, with noqueue a frame is dropped.
 */
static void await_tries(struct test *t, struct stall *st)
{
	int cpu[CPU_SETSIZE];
	unsigned int i, n = cpus_allowed(cpu, CPU_SETSIZE);

	for (i = 0; qdisc_holds(t->sc.qdisc) && i < t->generators.n; i++) {
		/* They begin with the first one, and so do these. */
		cpu_pin(cpu[i]);
		let_try(t->generators.tid[i], st);
	}
	cpus_allow(cpu, n);
	look(t);
	while (!qdisc_holds(t->sc.qdisc) && !all_counted(&t->l) &&
	       !stall_over(st)) {
		usleep(1000);
		look(t);
	}
}

/* Where there is a driver behind that tries again: until it gets no further. */
static void fill_until_full(struct test *t)
{
	struct stall st;

	stall_start(&st, t->sc.stall_ms);
	while (crew_sent(&t->crew) < t->sc.len && !stall_over(&st)) {
		stall_note(&st, crew_sent(&t->crew));
		/* pktgen may need this CPU. */
		usleep(1000);
	}
	await_tries(t, &st);
	ktap_ok(t->l.sent == t->sc.len, "as many go in as the ring holds: %llu of %u",
		t->l.sent, t->sc.len);
}

/* pktgen, straight to the driver or by noqueue, does not give up. */
static bool insists(const struct test *t)
{
	return t->producer == PRODUCER_PKTGEN ||
	       (t->producer == PRODUCER_PKTGEN_QUEUE &&
		!qdisc_holds(t->sc.qdisc));
}

static bool through_qdisc(const struct test *t)
{
	return qdisc_holds(t->sc.qdisc) &&
	       (t->producer == PRODUCER_PACKET || t->producer == PRODUCER_UDP ||
		t->producer == PRODUCER_PKTGEN_QUEUE);
}

/*
 * Nobody reads, so that the ring must become full. What a sender has not got
 * done itself, a softirq does, which may have to wait for its CPU.
 */
static void settle(struct test *t)
{
	struct stall st;
	long long seen;

	look(t);
	stall_start(&st, t->sc.stall_ms);
	while ((seen = ledger_in_ring(&t->l)) < t->sc.len && !stall_over(&st)) {
		stall_note(&st, (u64)seen);
		usleep(1000);
		look(t);
	}
}

static void fill(struct test *t)
{
	sender_send_many(&t->own, t->first);
	crew_start(&t->crew, t->each);
	if (insists(t)) {
		fill_until_full(t);
		return;
	}
	crew_end(&t->crew);
	/* An XDP frame that was dropped is no skb: it would be in the ring. */
	settle(t);
}

static void check_held(const struct test *t)
{
	const struct ledger *l = &t->l;

	ktap_ok(l->sent == t->tried && l->held == t->tried - t->sc.len,
		"the qdisc holds all but the ring's %u: %llu of %llu",
		t->sc.len, l->held, l->sent);
	ktap_ok(!l->driver_drops && !l->tx_dropped,
		"the driver drops nothing: %llu FULL_RING, %llu counted",
		l->driver_drops, l->tx_dropped);
}

static void check_insisting(const struct test *t)
{
	const struct ledger *l = &t->l;

	if (qdisc_holds(t->sc.qdisc))
		ktap_ok(!l->driver_drops && !l->tx_dropped && !l->enobufs,
			"a stopped queue is no error: %llu FULL_RING, %llu counted, %llu errors",
			l->driver_drops, l->tx_dropped, l->enobufs);
	else
		ktap_ok(all_counted(l),
			"with noqueue it is dropped, counted and an error: %llu, %llu, %llu",
			l->driver_drops, l->tx_dropped, l->enobufs);
}

/* AF_PACKET past the qdisc, or anybody with noqueue. */
static void check_refused(const struct test *t)
{
	bool stopped = t->patched && qdisc_holds(t->sc.qdisc);
	u64 excess = t->tried - t->sc.len;
	u64 drops = stopped ? 0 : excess;
	const struct ledger *l = &t->l;

	ktap_ok(l->sent == t->sc.len && l->enobufs == excess && !l->send_errors,
		"what the ring cannot hold is refused: %llu sent, %llu of %llu refused",
		l->sent, l->enobufs, excess);
	ktap_ok(l->driver_drops == drops && l->tx_dropped == drops && !l->held,
		"and %s: %llu FULL_RING, %llu counted, %llu held",
		stopped ? "counted nowhere" : "dropped", l->driver_drops,
		l->tx_dropped, l->held);
}

static void check_xdp(const struct test *t)
{
	u64 excess = t->tried - t->sc.len;
	const struct ledger *l = &t->l;
	/* Of two at once the driver may get both in one call. */
	bool counted = l->tx_dropped == excess ||
		       (t->senders > 1 && l->tx_dropped &&
			l->tx_dropped < excess);

	ktap_ok(counted, "what the ring cannot hold is counted: %llu of %llu",
		l->tx_dropped, excess);
}

static void check_filled(const struct test *t)
{
	if (insists(t))
		check_insisting(t);
	else if (t->producer == PRODUCER_XDP)
		check_xdp(t);
	else if (through_qdisc(t))
		check_held(t);
	else
		check_refused(t);
}

/* How many must come out; what insists, gets there in the end. */
static u64 expected(const struct test *t)
{
	if (insists(t))
		return t->tried;
	if (t->producer == PRODUCER_XDP)
		return t->sc.len;
	/* Dropped is dropped, right or wrong: nobody need wait for it. */
	return through_qdisc(t) ? t->l.sent - t->l.driver_drops : t->l.sent;
}

static bool take(struct test *t, u64 want)
{
	struct stall st;

	stall_start(&st, t->sc.stall_ms);
	while (t->out.frames < want && !stall_over(&st)) {
		intake_some(&t->in, stall_left_ms(&st));
		stall_note(&st, t->out.frames);
	}
	return t->out.frames == want;
}

static void drain(struct test *t)
{
	u64 want = expected(t), before = t->l.driver_drops, lost;
	bool all;

	intake_open(&t->in, t->b.fd[0], t->sc.reader == READER_VHOST, got_frame,
		    t);
	all = take(t, want);
	if (insists(t))
		crew_end(&t->crew);
	look(t);
	ktap_ok(all, "the reader gets all that waits: %llu of %llu",
		t->out.frames, want);
	ktap_ok(!t->l.missing && !t->l.repeated && !t->l.foreign,
		"each sender's frames once, in order: %llu missing, %llu repeated, %llu stray",
		t->l.missing, t->l.repeated, t->l.foreign);
	/* XDP frames are no skb, and nothing else is on its way. */
	if (!insists(t) && t->producer != PRODUCER_XDP)
		ktap_ok(t->l.driver_drops == before,
			"none is dropped meanwhile: %llu",
			t->l.driver_drops - before);
	/* Of XDP frames: what was counted, which is checked above. */
	lost = t->producer == PRODUCER_XDP ? t->tried - t->sc.len :
					     t->l.driver_drops;
	/* What was refused was not sent, unless it was dropped. */
	ktap_ok(t->l.sent + (lost && t->l.enobufs ? t->l.enobufs : 0) ==
		t->l.delivered + lost + t->l.qdisc_drops,
		"conservation: %llu sent, %llu refused, %llu delivered, %llu driver drops, %llu qdisc drops",
		t->l.sent, t->l.enobufs, t->l.delivered, lost,
		t->l.qdisc_drops);
}

/* The ring was read to its end: as much must go in as fits in any case. */
static void check_fresh(struct test *t)
{
	unsigned int n = ring_room(t->sc.len), sent;
	u64 before = t->out.frames;
	bool all;

	sent = sender_send_many(&t->own, n);
	all = take(t, before + n);
	ktap_ok(sent == n && all, "fresh frames flow: %llu of %u",
		t->out.frames - before, n);
}

/*
 * A sender that does not go on with the qdisc's lock in its hand leaves there
 * what all the others send. If the qdisc cannot hold that, the ring has all but
 * a slot for each of them at first.
 */
static void share(struct test *t)
{
	unsigned int held = UINT_MAX;

	if (through_qdisc(t))
		held = qdisc_capacity(t->sc.qdisc, t->sc.len);
	if (held < t->sc.len + t->extra) {
		t->first = t->sc.len - min(t->sc.len, t->senders);
		t->each = held / t->senders;
	} else {
		t->each = (t->sc.len + t->extra) / t->senders;
	}
	t->tried = t->first + (u64)t->each * t->senders;
}

static void open_own(struct test *t)
{
	bench_sender(&t->b, &t->sc, &t->own, false);
	t->own.frame.port = (u16)(FLOWS_PORT + t->senders);
	flows_start(&t->out, t->senders + 1, scenario_ether(&t->sc),
		    t->b.cookie);
}

static void run(struct test *t)
{
	share(t);
	if (t->tried <= t->sc.len)
		ktap_bail("%llu frames are no more than the ring holds", t->tried);
	ktap_plan(t->producer == PRODUCER_XDP ? 5 : insists(t) ? 6 : 7);
	fill(t);
	check_filled(t);
	drain(t);
	ledger_figures(&t->l);
	check_fresh(t);
	intake_close(&t->in);
}

/*
 * All at once with the reader. Two senders that find the queue running may both
 * be after the last slot: the one that does not get it has to be refused.
 */
static void run_beside_reader(struct test *t)
{
	struct sender sum;

	ktap_plan(4);
	/* All the longer is a sender between its look at the ring and its slot. */
	bpf_slow_filter(t->b.fd[0]);
	intake_open(&t->in, t->b.fd[0], false, got_frame, t);
	crew_start(&t->crew, t->each);
	while (crew_working(&t->crew))
		intake_some(&t->in, 1);
	crew_end(&t->crew);
	crew_count(&t->crew, &sum);
	take(t, sum.count[SEND_OK]);
	look(t);
	ktap_ok(!t->l.driver_drops && !t->l.tx_dropped && !t->l.send_errors,
		"none is dropped: %llu FULL_RING, %llu counted, %llu refused",
		t->l.driver_drops, t->l.tx_dropped, t->l.enobufs);
	ktap_ok(t->l.delivered == t->l.sent, "what was accepted comes out: %llu of %llu",
		t->l.delivered, t->l.sent);
	ktap_ok(!t->l.missing && !t->l.repeated && !t->l.foreign,
		"each sender's frames once, in order: %llu missing, %llu repeated, %llu stray",
		t->l.missing, t->l.repeated, t->l.foreign);
	ledger_figures(&t->l);
	check_fresh(t);
	intake_close(&t->in);
}

int main(int argc, char **argv)
{
	struct test t = { .senders = 1, .extra = 40 };
	const struct scenario_option extra[] = {
		{ "senders", &t.senders, "at once (1)" },
		{ "extra", &t.extra, "frames beyond the ring (40)" },
		{ "beside-reader", &t.each, "instead: so many tries of each" },
	};
	struct pktgen_tasks others;

	t.producer = (enum producer)choice_take(&argc, argv, "producer",
						producer_names, 0);
	t.patched = choice_take(&argc, argv, "kernel", kernels, 1);
	scenario_parse(&t.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.sc);
	if (!scenario_owns_queue(&t.sc) || !t.sc.len || !t.extra)
		ktap_bail("tun or tap, with a ring and more than it holds");
	pktgen_others(&others);
	netns_enter();
	drops_start("FULL_RING");
	bench_open(&t.b, &t.sc, "kst0");
	ledger_begin(&t.b);
	crew_open(&t.crew, t.producer, t.senders, &t.sc, &t.b);
	if (insists(&t))
		pktgen_ours(&t.crew.pktgen, &others, &t.generators);
	open_own(&t);
	if (t.each)
		run_beside_reader(&t);
	else
		run(&t);
	sender_close(&t.own);
	crew_close(&t.crew);
	bench_close(&t.b);
	drops_stop();
	return ktap_status();
}
