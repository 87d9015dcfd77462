// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a frame that is in a hurry has to wait for while others fill the queue.
 *
 * Nothing here is measured in time. Sender and reader take turns, and what
 * counts is how many frames come out between a frame's being sent and its
 * coming out: those in the ring, which stays first in, first out, and what
 * little the qdisc may send before it.
 */
#include <string.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"
#include "stall.h"

#define PINGS 4
/* Odd, so that pings meet the ring's batches of cleared slots in any state. */
#define BETWEEN 37
/* What fq_codel gives a flow at a time: about a large frame. */
#define QUANTUM_BYTES 1514
#define FRAME_BYTES 40
#define ECN_ECT0 2
#define ECN_FRAMES 400
#define ECN_TARGET_US 5000
#define ECN_INTERVAL_US 100000
#define ECN_TICK_NS (10 * NSEC_PER_MSEC)

static const char * const whats[] = { "ping", "band", "ecn", NULL };

enum what { WHAT_PING, WHAT_BAND, WHAT_ECN };

struct latency {
	struct run run;		/* of the bulk */
	struct sender ping;
	enum what what;
	unsigned int bound;	/* of frames that may come out first */
	unsigned int depth;	/* frames that wait when a ping is sent */
	unsigned int accepted;	/* of the pings */
	unsigned int arrived;
	unsigned int in_time;
	unsigned int worst;	/* number of frames before one */
	unsigned int waiting;	/* backlog seen, the least before a ping */
};

static void setup_qdisc(struct latency *la)
{
	const char *dev = la->run.b.dev;
	int band;

	if (la->what == WHAT_ECN)
		qdisc_fq_codel(dev, ECN_TARGET_US, ECN_INTERVAL_US);
	else if (!strcmp(la->run.sc.qdisc, "fq_codel"))
		qdisc_fq_codel(dev, 0, 0);
	else if (!strcmp(la->run.sc.qdisc, "prio"))
		for (band = 1; band <= 3; band++)
			qdisc_replace_at(dev, "fq_codel", QDISC_CHILD(band));
}

/* By flow under fq_codel, by band otherwise. */
static void set_priorities(struct latency *la)
{
	bool flows = !strcmp(la->run.sc.qdisc, "fq_codel");

	sender_priority(&la->run.s, flows ? QDISC_CHILD(1) : TC_PRIO_BULK);
	sender_priority(&la->ping, flows ? QDISC_CHILD(2) : TC_PRIO_CONTROL);
}

static void set_bound(struct latency *la)
{
	const struct scenario *sc = &la->run.sc;

	/* One frame may be on its way from the qdisc to the driver. */
	la->bound = sc->len + 1;
	if (sc->reader == READER_VHOST)
		la->bound += VHOST_BATCH;
	if (!strcmp(sc->qdisc, "fq_codel"))
		la->bound += QUANTUM_BYTES / FRAME_BYTES + 1;
	/* Each band of pfifo_fast holds a device's length, no more. */
	la->depth = strcmp(sc->qdisc, "pfifo_fast") ? la->bound + 1000 : sc->len;
}

static void setup(struct latency *la)
{
	netns_enter();
	drops_start("FULL_RING");
	run_open(&la->run, "late0");
	setup_qdisc(la);
	bench_sender(&la->run.b, &la->run.sc, &la->ping, false);
	/* To the tally of the bulk these are foreign. */
	la->ping.frame.cookie = ~la->run.b.cookie;
	set_priorities(la);
	set_bound(la);
	reader_start(&la->run.r);
}

static void top_up(struct latency *la)
{
	u64 now = run_backlog(&la->run);
	unsigned int ring = la->run.s.count[SEND_OK] ? 0 : la->run.sc.len;

	if (la->run.sc.reader == READER_VHOST && ring)
		ring += VHOST_BATCH;
	run_send(&la->run, ring + la->depth - (unsigned int)min_t(u64, now, la->depth));
	now = run_backlog(&la->run);
	la->waiting = (unsigned int)min_t(u64, now, la->waiting);
}

/* Send one and read until it is there. False: do not go on. */
static bool ping(struct latency *la)
{
	const struct tally *out = &la->run.out;
	u64 before = out->frames, arrived = out->foreign;
	u64 most = before + la->bound + la->depth;
	u64 dropped = drops_count();

	/* A driver's drop is not told to a sender that a qdisc stands before. */
	if (sender_send(&la->ping) != SEND_OK || drops_count() != dropped)
		return false;
	la->accepted++;
	while (out->foreign == arrived && out->frames < most)
		if (!reader_take(&la->run.r, 1))
			return false;
	if (out->foreign == arrived)
		return false;
	la->arrived++;
	la->in_time += out->frames - before <= la->bound;
	la->worst = max(la->worst, (unsigned int)(out->frames - before));
	return true;
}

static void test_overtakes(struct latency *la)
{
	struct ledger l;
	unsigned int i;
	bool all;

	ktap_plan(4);
	la->waiting = la->depth;
	for (i = 0; i < PINGS; i++) {
		top_up(la);
		if (!ping(la) || reader_take(&la->run.r, BETWEEN) != BETWEEN)
			break;
	}
	all = run_drain(&la->run);
	run_ledger(&la->run, &l);
	ktap_figure("worst_frames_before", la->worst, "frames");
	ktap_figure("allowed_frames_before", la->bound, "frames");
	ktap_figure("least_waiting", la->waiting, "frames");
	ktap_figure("driver_drops", (long long)l.driver_drops, "frames");
	ktap_ok(la->arrived == PINGS, "no ping is lost: %u of %u accepted, %u arrived",
		la->accepted, PINGS, la->arrived);
	ktap_ok(la->in_time == PINGS && la->waiting > la->bound / 2,
		"each overtakes what waits: %u of %u, at most %u frames before it, %u allowed, %u waited",
		la->in_time, PINGS, la->worst, la->bound, la->waiting);
	ktap_ok(!l.driver_drops, "the driver drops nothing: %llu", l.driver_drops);
	ktap_ok(all && la->run.out.frames == la->run.s.count[SEND_OK] &&
		!la->run.out.missing && !la->run.out.repeated,
		"the bulk arrives as well, once and in order: %llu of %llu",
		la->run.out.frames, la->run.s.count[SEND_OK]);
}

/* Read at a rate at which the queue stands longer than CoDel puts up with. */
static bool read_slowly(struct latency *la)
{
	const struct tally *out = &la->run.out;

	while (!out->marked && run_backlog(&la->run) > RING_BATCH) {
		stall_nap(ECN_TICK_NS);
		if (!reader_take(&la->run.r, RING_BATCH / 2))
			return false;
	}
	return true;
}

static void test_ecn(struct latency *la)
{
	struct ledger l;
	bool all;

	ktap_plan(4);
	la->run.s.frame.tos = ECN_ECT0;
	run_send(&la->run, la->run.sc.len + ECN_FRAMES);
	run_ledger(&la->run, &l);
	ktap_ok(l.held == ECN_FRAMES, "the queue stands: %llu of %u", l.held,
		ECN_FRAMES);
	all = read_slowly(la);
	all &= run_drain(&la->run);
	run_ledger(&la->run, &l);
	ktap_figure("marked", (long long)la->run.out.marked, "frames");
	ktap_figure("delivered", (long long)l.delivered, "frames");
	ktap_figure("driver_drops", (long long)l.driver_drops, "frames");
	ktap_ok(la->run.out.marked, "fq_codel marks ECN-capable frames: %llu",
		la->run.out.marked);
	ktap_ok(!l.driver_drops && !l.qdisc_drops,
		"and drops none: %llu by the driver, %llu by the qdisc",
		l.driver_drops, l.qdisc_drops);
	ktap_ok(all && l.delivered == la->run.s.count[SEND_OK] &&
		!l.missing && !l.repeated,
		"each arrives once, in order: %llu of %llu", l.delivered,
		la->run.s.count[SEND_OK]);
}

int main(int argc, char **argv)
{
	struct latency la = {};

	la.what = (enum what)choice_take(&argc, argv, "what", whats, WHAT_PING);
	scenario_parse(&la.run.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&la.run.sc);
	if (!scenario_owns_queue(&la.run.sc) || !la.run.sc.len ||
	    !qdisc_holds(la.run.sc.qdisc))
		ktap_bail("latency takes a tun or tap, a length above 0 and a qdisc");
	setup(&la);
	if (la.what == WHAT_ECN)
		test_ecn(&la);
	else
		test_overtakes(&la);
	sender_close(&la.ping);
	run_close(&la.run);
	drops_stop();
	return ktap_status();
}
