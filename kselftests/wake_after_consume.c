// SPDX-License-Identifier: GPL-2.0-only
/*
 * When does the queue stop, and when does it run again?
 *
 * It must stop as the last slot is taken, not before and not after. Then one
 * frame after the other is consumed, and the qdisc's backlog is compared with
 * a model of the ring: it must fall as soon as a slot is free, by what is free.
 * Without a backlog (noqueue, macvtap, ipvtap) fresh frames take its part: as
 * many are kept as slots are free, and the next one is dropped.
 */
#include <linux/if_tun.h>

#include "drops.h"
#include "ktap.h"
#include "ledger.h"
#include "netdev.h"
#include "ring.h"
#include "run.h"

/* Backlog beyond one lap of the ring, at most. */
#define BEYOND_A_LAP 40

struct test {
	struct run run;
	unsigned int len;
	u64 backlog;		/* after filling */
	u64 consumed;
	u64 first_wake;		/* frames consumed when the backlog first fell */
	u64 late;		/* consumed, when the backlog did not fall */
	u64 early;		/* consumed, when it fell too far */
	u64 seen;		/* backlog at that time */
	bool stalled;
};

/* Stop at the first refusal: more than a lap is nice to have. */
static void fill_backlog(struct test *t)
{
	unsigned int n = 2 * t->len + BEYOND_A_LAP;

	while (n-- && run_try(&t->run))
		;
	t->backlog = run_backlog(&t->run);
}

static u64 left_after(const struct test *t, u64 consumed)
{
	u64 freed = ring_freed(t->len, consumed);

	return t->backlog > freed ? t->backlog - freed : 0;
}

static void look(struct test *t, u64 backlog, u64 expected)
{
	if (backlog < t->backlog && !t->first_wake)
		t->first_wake = t->consumed;
	if (backlog > expected && !t->late) {
		t->late = t->consumed;
		t->seen = backlog;
	}
	if (backlog < expected && !t->early) {
		t->early = t->consumed;
		t->seen = backlog;
	}
}

static void consume_one(struct test *t)
{
	u64 expected;

	if (reader_take(&t->run.r, 1) != 1) {
		t->stalled = true;
		return;
	}
	t->consumed++;
	expected = left_after(t, t->consumed);
	look(t, run_backlog_falls(&t->run, expected), expected);
}

static void report_timing(const struct test *t)
{
	u64 at = t->late ? t->late : t->early;
	struct ledger l;

	if (at)
		ktap_diag("backlog %llu, not %llu, after %llu consumes",
			  t->seen, left_after(t, at), at);
	if (t->late) {
		run_ledger(&t->run, &l);
		ledger_stalled(&l, &t->run.b, &t->run.sc);
	}
	ktap_ok(t->backlog && !t->late,
		"the queue runs as soon as there is room%s",
		t->late ? ": stalled" : t->backlog ? "" : ": no backlog");
	ktap_ok(t->backlog && !t->early,
		"the queue does not run before there is room%s",
		t->backlog ? "" : ": no backlog");
}

static void test_one_by_one(struct test *t)
{
	reader_start(&t->run.r);
	while (!t->stalled && !t->late && !t->early &&
	       left_after(t, t->consumed))
		consume_one(t);
	report_timing(t);
}

/*
 * vhost takes frames ahead of the buffers it has. What it took since its first
 * batch is not known exactly, but a queue at rest has a full ring, less the
 * slots that are consumed and not yet cleared, or no backlog.
 */
static bool vhost_at_rest(struct test *t)
{
	unsigned int full = ring_room(t->len);
	u64 delivered = t->run.out.frames;
	u64 waiting = t->run.s.count[SEND_OK] - delivered;
	u64 most = waiting > full ? waiting - full : 0;
	u64 least = waiting > t->len + VHOST_BATCH ?
		    waiting - t->len - VHOST_BATCH : 0;
	u64 backlog = run_backlog_falls(&t->run, most);

	if (backlog >= least && backlog <= most)
		return true;
	ktap_diag("backlog %llu, not %llu to %llu, after %llu delivered",
		  backlog, least, most, delivered);
	return false;
}

static unsigned int next_chunk(unsigned int i)
{
	static const unsigned int chunk[] = { 1, 2, 8, 63, 64, 65, 128 };

	return chunk[min_t(unsigned int, i, ARRAY_SIZE(chunk) - 1)];
}

static void test_chunks(struct test *t)
{
	unsigned int i, want, got = 0, stuck = 0;
	u64 expected, waiting;

	/* No buffers yet: vhost takes one batch, and no more. */
	reader_start(&t->run.r);
	t->consumed = min_t(unsigned int, t->len, VHOST_BATCH);
	expected = left_after(t, t->consumed);
	look(t, run_backlog_falls(&t->run, expected), expected);
	report_timing(t);
	for (i = 0; !t->stalled && !stuck; i++) {
		waiting = t->backlog + t->len - t->run.out.frames;
		want = min_t(unsigned int, next_chunk(i), waiting);
		if (!want)
			break;
		got = reader_take(&t->run.r, want);
		t->stalled = got < want;
		stuck += !t->stalled && !vhost_at_rest(t);
	}
	ktap_ok(!t->stalled && !stuck,
		"chunk after chunk comes through%s", t->stalled ?
		": stalled" : stuck ? ": the queue does not run again" : "");
}

static void check_end(struct test *t, u64 expected)
{
	struct ledger l;

	if (!run_drain(&t->run))
		t->stalled = true;
	run_ledger(&t->run, &l);
	ktap_ok(!t->stalled, "the reader gets all that waits%s",
		t->stalled ? ": stalled" : "");
	ktap_ok(tally_exact(&t->run.out, expected),
		"each frame once and in order: %llu of %llu, %llu missing, %llu repeated, %llu foreign",
		l.delivered, expected, l.missing, l.repeated, l.foreign);
	ledger_figures(&l);
	ktap_figure("backlog", (long long)t->backlog, NULL);
	ktap_figure("consumed", (long long)t->consumed, NULL);
	ktap_figure("first_wake", (long long)t->first_wake, NULL);
}

static void test_backlog(struct test *t)
{
	bool vhost = t->run.sc.reader == READER_VHOST;
	struct ledger l;

	ktap_plan(vhost ? 7 : 6);
	fill_backlog(t);
	run_ledger(&t->run, &l);
	ktap_ok(!l.driver_drops && l.sent >= t->len &&
		t->backlog == l.sent - t->len,
		"the queue stops as the last of %u slots is taken: %llu sent, %llu wait, %llu dropped",
		t->len, l.sent, t->backlog, l.driver_drops);
	if (!t->backlog) {
		/* Nothing waits: nothing can be woken. */
		report_timing(t);
		if (vhost)
			ktap_ok(false, "chunk after chunk comes through: no backlog");
		reader_start(&t->run.r);
	} else if (vhost) {
		test_chunks(t);
	} else {
		test_one_by_one(t);
	}
	check_end(t, l.sent);
	run_ledger(&t->run, &l);
	ktap_ok(!l.driver_drops, "no FULL_RING drop: %llu", l.driver_drops);
}

/*
 * Fresh frames go into the slots that were freed, and only there. Returns
 * whether exactly @n were kept.
 */
static bool refill(struct test *t, u64 n, bool and_no_more)
{
	while (n && run_try(&t->run))
		n--;
	return !n && !(and_no_more && run_try(&t->run));
}

static void refill_one_by_one(struct test *t)
{
	unsigned int n = t->len + BEYOND_A_LAP;
	u64 freed = 0, before;

	for (; n && !t->late; n--) {
		if (reader_take(&t->run.r, 1) != 1) {
			t->stalled = true;
			break;
		}
		before = freed;
		freed = ring_freed(t->len, ++t->consumed);
		if (freed > before && !t->first_wake)
			t->first_wake = t->consumed;
		if (!refill(t, freed - before, true))
			t->late = t->consumed;
	}
}

static void refill_after_batch(struct test *t)
{
	u64 taken = min_t(unsigned int, t->len, VHOST_BATCH);

	/* One frame delivered is proof that vhost has taken its batch. */
	t->stalled = reader_take(&t->run.r, 1) != 1;
	t->consumed = taken;
	/* An empty store is filled again at once: don't ask for a drop then. */
	if (!refill(t, ring_freed(t->len, taken), taken > 1))
		t->late = taken;
}

static void test_fresh(struct test *t)
{
	unsigned int n = t->len + 8, kept = 0;
	struct ledger l;

	ktap_plan(5);
	while (n--)
		kept += run_try(&t->run);
	ktap_ok(kept == t->len, "the ring of %u keeps %u frames", t->len,
		kept);
	reader_start(&t->run.r);
	if (t->run.sc.reader == READER_VHOST)
		refill_after_batch(t);
	else
		refill_one_by_one(t);
	run_ledger(&t->run, &l);
	ktap_ok(!t->late,
		"a frame is kept when a slot is free, and only then: %llu sent, %llu dropped, %llu consumed",
		l.sent, l.driver_drops, t->consumed);
	check_end(t, l.sent + l.enobufs - l.driver_drops);
	run_ledger(&t->run, &l);
	ktap_ok(ledger_balances(&l), "all is accounted for but %lld",
		ledger_in_ring(&l));
}

int main(int argc, char **argv)
{
	struct test t = {};
	unsigned int napi = 0;
	const struct scenario_option extra[] = {
		{ "napi", &napi, "1: what its owner writes goes by NAPI" },
	};

	scenario_parse(&t.run.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.run.sc);
	if (napi)
		t.run.sc.tun_flags |= IFF_NAPI;
	t.len = t.run.sc.len;
	if (!t.len)
		ktap_bail("a ring without slots never wakes anything");
	netns_enter();
	drops_start("FULL_RING");
	run_open(&t.run, "kst0");
	if (run_has_backlog(&t.run))
		test_backlog(&t);
	else
		test_fresh(&t);
	run_close(&t.run);
	drops_stop();
	return ktap_status();
}
