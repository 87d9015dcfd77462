// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net is moved from one device to another while it holds frames of the
 * first. Those belong into the first one's ring, where a plain reader finds
 * them, and never come out as the second one's. Then back the other way.
 *
 * With --how requeue the file is detached from its device instead, vhost lets
 * go of it, and it is attached again: with a full ring.
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

/* What is returned and finds no slot is freed in here. */
#define DESTROYED_IN "tun_ptr_free"
#define LATE_FRAMES 5

enum how { HOW_MOVE, HOW_REQUEUE };

static const char * const hows[] = { "move", "requeue", NULL };
static const char * const devs[] = { "tun", "tap", "macvtap", "ipvtap", NULL };

struct test {
	struct run from;
	struct run to;
	struct reader vhost;
	unsigned int extra;
	unsigned int offer;
	unsigned int refill;
};

static void vhost_serves(struct test *t, struct run *x)
{
	reader_serve(&t->vhost, x->b.fd[0], &x->out);
}

static u64 lost(void)
{
	return drops_count_at("FULL_RING") + drops_count_at(DESTROYED_IN);
}

/* Under noqueue a refusal is the driver's drop, and counted as that. */
static u64 sent(const struct run *x)
{
	if (run_has_backlog(x))
		return x->s.count[SEND_OK];	/* a full qdisc refuses, too */
	return x->s.count[SEND_OK] + x->s.count[SEND_NOBUFS];
}

static u64 backlog(const struct run *x)
{
	return scenario_owns_queue(&x->sc) ? run_backlog(x) : 0;
}

/* Nobody reads: what waits in the qdisc waits because the ring is full. */
static bool settles(const struct run *x, u64 lost_elsewhere)
{
	u64 known, in_ring;
	struct stall st;

	stall_start(&st, x->sc.stall_ms);
	for (;;) {
		known = x->out.frames + backlog(x) + lost() - lost_elsewhere;
		in_ring = sent(x) - known;
		if (!backlog(x) || in_ring >= x->sc.len)
			return true;
		stall_note(&st, in_ring);
		if (stall_over(&st))
			break;
		stall_nap(5 * NSEC_PER_MSEC);
	}
	ktap_diag("stalled: backlog %llu, ring %llu of %u",
		  (unsigned long long)backlog(x), (unsigned long long)in_ring,
		  x->sc.len);
	return false;
}

static bool takes(struct run *x, struct reader *r, unsigned int n)
{
	u64 before = x->s.count[SEND_OK];
	unsigned int got;

	run_send(x, n);
	got = reader_take(r, n);
	if (x->s.count[SEND_OK] - before == n && got == n)
		return true;
	ktap_diag("%s: %llu of %u sent, %u came out", x->b.dev,
		  x->s.count[SEND_OK] - before, n, got);
	return false;
}

/*
 * vhost comes to a ring that has been filled: only then is it certain how many
 * it takes at first. A change of length leaves no slot that is still to be
 * cleared.
 */
static void fill_and_serve(struct test *t, struct run *x)
{
	vhost_detach(t->vhost.vhost);
	netdev_txqueuelen(x->b.dev, x->sc.len + 1);
	netdev_txqueuelen(x->b.dev, x->sc.len);
	run_send(x, x->sc.len + t->extra);
	vhost_serves(t, x);
}

/* vhost holds nothing, and all its buffers are used. */
static void move(struct test *t, struct run *from, struct run *to)
{
	unsigned int len = from->sc.len, n = min(ring_room(to->sc.len), 8U);
	unsigned int held = min_t(unsigned int, len, VHOST_BATCH);
	unsigned int want = min(t->offer, held - 1), got;
	u64 lost_before = lost(), destroyed = drops_count_at(DESTROYED_IN), counted;
	u64 jumped = from->out.missing, too_many = t->refill ? held - want : 0;
	struct netdev_stats before, after;

	netdev_stats(from->b.dev, &before);
	fill_and_serve(t, from);
	got = reader_take(&t->vhost, want);
	if (t->refill)
		run_send(from, held);
	run_send(to, n);
	vhost_serves(t, to);
	got += reader_take(&t->vhost, n);
	ktap_ok(got == want + n && !to->out.foreign && !to->out.repeated,
		"vhost gets %u frames of %s and goes on with those of %s: %u of %u, %llu foreign",
		want, from->b.dev, to->b.dev, got, want + n, to->out.foreign);
	ktap_ok(settles(from, lost_before),
		"%s has nothing waiting in front of a ring with room",
		from->b.dev);
	netdev_stats(from->b.dev, &after);
	counted = after.rx_dropped + after.tx_dropped - before.rx_dropped -
		  before.tx_dropped;
	got = reader_rest(&from->r);
	destroyed = drops_count_at(DESTROYED_IN) - destroyed;
	ktap_ok(!from->out.foreign && !from->out.repeated && !backlog(from),
		"a plain reader of %s gets the rest, in order: %u, %llu foreign, %llu repeated",
		from->b.dev, got, from->out.foreign, from->out.repeated);
	ktap_ok(sent(from) == from->out.frames + lost() - lost_before,
		"%s: delivered, dropped and destroyed are all there were: %llu of %llu, %llu destroyed",
		from->b.dev, from->out.frames, sent(from), destroyed);
	if (t->extra)
		ktap_skip("the ring may have been filled up again",
			  "what vhost held goes back");
	else
		ktap_ok(destroyed == too_many &&
			from->out.missing == jumped + too_many && !counted,
			"what vhost held goes back, but for %llu without a slot: %llu destroyed, %llu missing, %llu counted as dropped",
			too_many, destroyed, from->out.missing - jumped,
			counted);
	/* From here on what was sent and what was lost begin at 0 again. */
	memset(from->s.count, 0, sizeof(from->s.count));
	from->out.frames = 0;
	ktap_ok(takes(from, &from->r, ring_room(len)) &&
		takes(to, &t->vhost, ring_room(to->sc.len)),
		"fresh frames reach both: a reader of %s, vhost at %s",
		from->b.dev, to->b.dev);
	memset(to->s.count, 0, sizeof(to->s.count));
	memset(from->s.count, 0, sizeof(from->s.count));
	from->out.frames = 0;
	to->out.frames = 0;
}

static void test_move(struct test *t)
{
	run_open(&t->to, "to0");
	ktap_plan(12);
	move(t, &t->from, &t->to);
	move(t, &t->to, &t->from);
	run_close(&t->to);
}

/* The only queue in use, and vhost holds all that was in its ring. */
static void test_requeue(struct test *t)
{
	struct run *x = &t->from;
	unsigned int len = x->sc.len, got;
	u64 gone;

	ktap_plan(5);
	tuntap_queue(x->b.fd[1], false);
	run_send(x, len);
	vhost_serves(t, x);
	got = reader_take(&t->vhost, 1);
	tuntap_queue(x->b.fd[0], false);
	vhost_detach(t->vhost.vhost);
	tuntap_queue(x->b.fd[0], true);
	/* There is one slot, and more frames than that. */
	run_send(x, 1 + LATE_FRAMES);
	ktap_ok(backlog(x) == LATE_FRAMES,
		"behind a ring that was filled while detached frames wait: %llu of %u",
		backlog(x), LATE_FRAMES);
	gone = lost();
	ktap_ok(!gone, "none is dropped, and none destroyed: %llu", gone);
	got += reader_take(&x->r, len + LATE_FRAMES - (unsigned int)gone);
	ktap_ok(got == len + 1 + LATE_FRAMES, "all come out: %u of %u", got,
		len + 1 + LATE_FRAMES);
	ktap_ok(tally_exact(&x->out, len + 1 + LATE_FRAMES),
		"once and in order: %llu missing, %llu repeated",
		x->out.missing, x->out.repeated);
	ktap_ok(takes(x, &x->r, ring_room(len)), "fresh frames come out");
}

static void test_open(struct test *t, enum dev_kind to, enum how how)
{
	t->to.sc = t->from.sc;
	t->to.sc.dev = to;
	t->to.sc.seed = ~t->from.sc.seed;
	if (how == HOW_REQUEUE)
		t->from.sc.queues = 2;
	netns_enter();
	bench_count_freed(&t->from.sc);
	run_open(&t->from, "from0");
	reader_open(&t->vhost, READER_VHOST, t->from.b.fd[0], &t->from.out,
		    t->from.sc.stall_ms);
}

int main(int argc, char **argv)
{
	struct test t = { .offer = 3 };
	const struct scenario_option extra[] = {
		{ "extra", &t.extra, "frames beyond the ring's length" },
		{ "offer", &t.offer, "frames that vhost gets before the move" },
		{ "refill", &t.refill, "1: fill the ring again behind what vhost holds" },
	};
	enum dev_kind to = (enum dev_kind)choice_take(&argc, argv, "to", devs,
						      DEV_TAP);
	enum how how = (enum how)choice_take(&argc, argv, "how", hows,
					     HOW_MOVE);

	scenario_parse(&t.from.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.from.sc);
	t.from.sc.reader = READER_POLL;
	if (t.from.sc.len < 2)
		ktap_bail("with one slot vhost holds nothing back");
	if (t.extra && t.refill)
		ktap_bail("extra fills the ring again by itself");
	if (how == HOW_REQUEUE && (t.from.sc.len > VHOST_BATCH ||
				   !run_has_backlog(&t.from)))
		ktap_bail("requeue: tun or tap, a qdisc, a length of at most %d",
			  VHOST_BATCH);
	test_open(&t, to, how);
	if (how == HOW_MOVE)
		test_move(&t);
	else
		test_requeue(&t);
	reader_close(&t.vhost);
	run_close(&t.from);
	drops_stop();
	return ktap_status();
}
