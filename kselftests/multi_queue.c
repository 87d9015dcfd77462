// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several queues of one device, one of which may be full.
 *
 *   stuck       under mq nothing is dropped, and only that queue waits
 *   neighbours  under mq the others' frames come out as ever
 *   root        with one qdisc for all of them, all wait behind it
 *   wake        all are full, and a reader wakes its own queue alone
 *   concurrent  senders to all of them and a reader each, all at once
 */
#include <string.h>

#include "bpf.h"
#include "choice.h"
#include "drops.h"
#include "flows.h"
#include "intake.h"
#include "ktap.h"
#include "multi.h"
#include "netdev.h"
#include "qdisc.h"
#include "stall.h"

#define EXTRA 5
#define ROUNDS 40

enum part { PART_STUCK, PART_NEIGHBOURS, PART_ROOT, PART_WAKE, PART_CONCURRENT };

static const char * const parts[] = {
	"stuck", "neighbours", "root", "wake", "concurrent", NULL,
};

static const char * const children[] = { "fq_codel", "pfifo_fast", NULL };
static const char * const kernels[] = { "stock", "patched", NULL };

/* To the queue that nobody reads: more than its ring holds. */
static void fill(struct multi *m, unsigned int q, unsigned int n)
{
	if (sender_send_many(&m->sender[q], n) != n)
		ktap_bail("queue %u: %s", q, strerror(m->sender[q].error));
}

/*
 * One frame to each but the stuck queue, and each out again before the next
 * one: how many came. The longest that one took goes to @worst.
 */
static unsigned int rounds(struct multi *m, unsigned int stuck, u64 *worst)
{
	unsigned int i, q, came = 0;
	u64 since, took;

	*worst = 0;
	for (i = 0; i < ROUNDS; i++) {
		for (q = 0; q < m->sc.queues; q++) {
			if (q == stuck)
				continue;
			since = stall_now_ns();
			fill(m, q, 1);
			if (!multi_take(m, q, 1))
				return came;
			took = stall_now_ns() - since;
			*worst = max(*worst, took);
			came++;
		}
	}
	return came;
}

static unsigned int all_rounds(const struct multi *m)
{
	return ROUNDS * (m->sc.queues - 1);
}

static bool others_hold_none(const struct multi *m, unsigned int stuck)
{
	struct qdisc_stats st;
	unsigned int q;

	for (q = 0; q < m->sc.queues; q++) {
		multi_child(m, q, &st);
		if (q != stuck && st.qlen)
			return false;
	}
	return true;
}

static void check_exact(const struct multi *m)
{
	unsigned int q, wrong = 0;

	for (q = 0; q < m->sc.queues; q++)
		wrong += !tally_exact(&m->queue[q].out.tally[q],
				      m->sender[q].count[SEND_OK]);
	ktap_ok(!wrong, "each queue's frames once, in order, from itself: %u wrong",
		wrong);
}

static void test_stuck(struct multi *m, unsigned int stuck)
{
	unsigned int n = m->sc.len + EXTRA, came, got;
	struct netdev_stats dev;
	struct qdisc_stats st;
	u64 worst;

	ktap_plan(6);
	fill(m, stuck, n);
	came = rounds(m, stuck, &worst);
	ktap_ok(came == all_rounds(m), "the neighbours' frames come out: %u of %u",
		came, all_rounds(m));
	netdev_stats(m->b.dev, &dev);
	ktap_ok(!drops_count() && !dev.tx_dropped,
		"the driver drops nothing: %llu FULL_RING, %llu counted",
		drops_count(), dev.tx_dropped);
	multi_child(m, stuck, &st);
	ktap_ok(st.qlen == EXTRA, "the rest waits in the queue's own qdisc: %u of %d",
		st.qlen, EXTRA);
	ktap_ok(others_hold_none(m, stuck), "and none in the neighbours'");
	/* What was dropped, right or wrong, nobody need wait for. */
	got = multi_take(m, stuck, n - (unsigned int)drops_count());
	ktap_ok(got == n, "its reader gets them at last: %u of %u", got, n);
	check_exact(m);
}

static void test_neighbours(struct multi *m, unsigned int stuck)
{
	unsigned int came;
	u64 worst;

	ktap_plan(2);
	came = rounds(m, stuck, &worst);
	ktap_ok(came == all_rounds(m), "before: %u of %u come out", came,
		all_rounds(m));
	ktap_figure("worst_before_us", (long long)worst / 1000, "us");
	fill(m, stuck, m->sc.len + EXTRA);
	came = rounds(m, stuck, &worst);
	ktap_ok(came == all_rounds(m), "beside a full queue: %u of %u come out",
		came, all_rounds(m));
	ktap_figure("worst_beside_us", (long long)worst / 1000, "us");
	ktap_figure("came", came, "frames");
}

static void test_root(struct multi *m, unsigned int stuck, bool patched)
{
	unsigned int q, n = m->sc.len + 1, each = min(m->sc.len, 8U);
	unsigned int others = each * (m->sc.queues - 1), early = 0, late = 0;
	struct qdisc_stats st;

	ktap_plan(4);
	fill(m, stuck, n);
	for (q = 0; q < m->sc.queues; q++)
		if (q != stuck)
			fill(m, q, each);
	/* The senders' own calls have brought all as far as it gets. */
	for (q = 0; q < m->sc.queues; q++)
		if (q != stuck)
			early += intake_only(&m->queue[q].in, each);
	qdisc_read(m->b.dev, &st);
	ktap_ok(early == (patched ? 0 : others),
		"behind the full queue %s: %u of %u",
		patched ? "all wait" : "the others go on", early, others);
	ktap_ok(st.qlen == (patched ? others + 1 : 0), "the qdisc holds %u", st.qlen);
	ktap_ok(drops_count() == (patched ? 0 : 1), "the driver dropped %llu",
		drops_count());
	ktap_figure("neighbours_meanwhile", early, "frames");
	/* One frame out is enough, or in long rings one batch of slots. */
	multi_take(m, stuck, m->sc.len);
	for (q = 0; q < m->sc.queues; q++)
		if (q != stuck)
			late += multi_take(m, q, patched ? each : 0);
	ktap_ok(early + late == others,
		"once it is read the others have got all: %u of %u",
		early + late, others);
}

static void test_wake(struct multi *m)
{
	unsigned int i, q, n = m->sc.len + EXTRA, held = 0, got = 0, fresh = 0;
	unsigned int moved = 0, lost;
	struct qdisc_stats before, after, none;

	ktap_plan(5);
	for (q = 0; q < m->sc.queues; q++) {
		fill(m, q, n);
		multi_child(m, q, &before);
		held += before.qlen == EXTRA;
	}
	ktap_ok(held == m->sc.queues, "each queue's qdisc holds its own: %u of %u", held,
		m->sc.queues);
	/* What was dropped, right or wrong, nobody need wait for. */
	lost = (unsigned int)drops_count() / m->sc.queues;
	/* From the last one down: a wake of queue 0 would come too early. */
	for (q = m->sc.queues; q--; ) {
		got += multi_take(m, q, n - lost);
		multi_child(m, q, &none);
		moved += none.qlen != 0;
		for (i = 0; i < q; i++) {
			multi_child(m, i, &after);
			/* Woken over a full ring, it hands a frame back. */
			moved += after.qlen != EXTRA || after.requeues > 1;
		}
		fill(m, q, 1);
		fresh += multi_take(m, q, 1);
	}
	ktap_ok(got == n * m->sc.queues, "each reader gets all of its own: %u of %u",
		got, n * m->sc.queues);
	ktap_ok(!moved, "and moves nothing of another's: %u times", moved);
	ktap_ok(fresh == m->sc.queues, "fresh frames flow beside full queues: %u of %u",
		fresh, m->sc.queues);
	check_exact(m);
}

static void test_concurrent(struct multi *m)
{
	struct netdev_stats dev;

	ktap_plan(4);
	multi_run(m, m->sc.len + EXTRA);
	netdev_stats(m->b.dev, &dev);
	ktap_figure("delivered", (long long)multi_delivered(m), "frames");
	ktap_figure("elapsed_us", (long long)m->elapsed_ns / 1000, "us");
	ktap_ok(!m->stalled && multi_delivered(m) == m->accepted,
		"all that was accepted comes out: %llu of %llu%s",
		multi_delivered(m), (u64)m->accepted, m->stalled ? ", stalled" : "");
	ktap_ok(!drops_count() && !dev.tx_dropped,
		"the driver drops nothing: %llu FULL_RING, %llu counted",
		drops_count(), dev.tx_dropped);
	ktap_ok(!multi_wrong(m), "each flow's frames once, in order: %llu not",
		multi_wrong(m));
	ktap_ok(!multi_astray(m), "from the queue that was chosen: %llu not",
		multi_astray(m));
}

int main(int argc, char **argv)
{
	struct multi m = { .senders = 2, .frames = 300 };
	unsigned int stuck = 0;
	const struct scenario_option extra[] = {
		{ "stuck", &stuck, "the queue that nobody reads (0)" },
		{ "senders", &m.senders, "at once (2; concurrent only)" },
		{ "frames", &m.frames, "of each flow (300; concurrent only)" },
	};
	enum part part = (enum part)choice_take(&argc, argv, "part", parts, 0);
	const char *child = children[choice_take(&argc, argv, "child", children, 0)];
	bool patched = choice_take(&argc, argv, "kernel", kernels, 1);
	bool mq;

	scenario_defaults(&m.sc);
	m.sc.queues = 2;
	m.sc.qdisc = "mq";
	scenario_options(&m.sc, argc, argv, extra, ARRAY_SIZE(extra));
	if (!scenario_owns_queue(&m.sc) || !m.sc.len || stuck >= m.sc.queues)
		ktap_bail("tun or tap with a ring, and a queue of it");
	if ((part == PART_NEIGHBOURS || part == PART_ROOT) && m.sc.queues < 2)
		ktap_bail("a queue has no neighbours");
	mq = !strcmp(m.sc.qdisc, "mq");
	if (part == PART_ROOT ? mq : !mq)
		ktap_bail("mq, or another qdisc for the part root");
	netns_enter();
	drops_start("FULL_RING");
	multi_open(&m, child);
	switch (part) {
	case PART_STUCK:
		test_stuck(&m, stuck);
		break;
	case PART_NEIGHBOURS:
		test_neighbours(&m, stuck);
		break;
	case PART_ROOT:
		test_root(&m, stuck, patched);
		break;
	case PART_WAKE:
		test_wake(&m);
		break;
	case PART_CONCURRENT:
		test_concurrent(&m);
		break;
	}
	multi_close(&m);
	drops_stop();
	return ktap_status();
}
