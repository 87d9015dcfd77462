// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net takes up to 64 frames at a time out of the ring, and delivers as
 * many as it is offered buffers. Offered N, it must deliver N, and again N, to
 * the last frame that waits; and as its batches free slots, the ring must fill
 * again from the qdisc.
 */
#include "drops.h"
#include "ktap.h"
#include "ledger.h"
#include "netdev.h"
#include "ring.h"
#include "run.h"

struct batch {
	struct run run;
	unsigned int extra;
	unsigned int offer;
	struct ledger filled;
	struct ledger drained;
	unsigned int rounds;
	bool short_of;		/* fewer came out than buffers were offered */
	bool stuck;		/* the ring was not filled again */
};

static void fill(struct batch *ba)
{
	const struct ledger *f = &ba->filled;
	unsigned int len = ba->run.sc.len;

	run_send(&ba->run, len + ba->extra);
	run_ledger(&ba->run, &ba->filled);
	if (run_has_backlog(&ba->run))
		ktap_ok(!f->driver_drops && f->sent > len &&
			f->held == f->sent - len,
			"the ring holds %u, the qdisc the rest: %llu of %llu, %llu dropped",
			len, f->held, f->sent, f->driver_drops);
	else
		ktap_ok(f->driver_drops == ba->extra,
			"the ring holds %u, the rest is dropped: %llu of %u",
			len, f->driver_drops, ba->extra);
}

/* Without buffers it takes one batch. What that frees is filled, and no more. */
static void first_batch(struct batch *ba)
{
	unsigned int len = ba->run.sc.len;
	u64 freed = ring_freed(len, min_t(unsigned int, len, VHOST_BATCH));
	u64 expected = ba->filled.held - min(ba->filled.held, freed);
	u64 backlog;

	reader_start(&ba->run.r);
	backlog = run_backlog_falls(&ba->run, expected);
	ktap_ok(backlog == expected,
		"the first batch frees %llu slots: backlog %llu, not %llu",
		freed, backlog, expected);
}

/*
 * At rest nothing waits in the qdisc, or the ring is full but for slots that
 * are read and not yet cleared. vhost may have a batch besides.
 */
static bool at_rest(struct batch *ba, u64 waiting)
{
	unsigned int len = ba->run.sc.len, room = ring_room(len);
	u64 most = waiting > room ? waiting - room : 0;
	u64 least = waiting > len + VHOST_BATCH ?
		    waiting - len - VHOST_BATCH : 0;
	u64 backlog = run_backlog_falls(&ba->run, most);

	if (backlog >= least && backlog <= most)
		return true;
	ktap_diag("stalled: backlog %llu, not %llu to %llu, after %llu delivered",
		  backlog, least, most, ba->run.out.frames);
	return false;
}

static void round_by_round(struct batch *ba)
{
	u64 all = ba->filled.held + ba->run.sc.len;
	unsigned int want, got;

	while (!ba->short_of && !ba->stuck && all > ba->run.out.frames) {
		want = min_t(u64, ba->offer, all - ba->run.out.frames);
		got = reader_take(&ba->run.r, want);
		ba->rounds++;
		ba->short_of = got != want || vhost_pending(ba->run.r.vhost);
		if (ba->short_of)
			ktap_diag("stalled: %u of %u in round %u, %llu of %llu in all",
				  got, want, ba->rounds, ba->run.out.frames,
				  all);
		else
			ba->stuck = !at_rest(ba, all - ba->run.out.frames);
	}
	ktap_ok(!ba->short_of, "offered %u buffers, vhost fills %u, in each of %u rounds",
		ba->offer, ba->offer, ba->rounds);
	ktap_ok(!ba->stuck, "the ring is filled again as batches free its slots");
}

static void check_end(struct batch *ba)
{
	const struct ledger *d = &ba->drained;
	u64 all = ba->filled.held + ba->run.sc.len;

	run_drain(&ba->run);
	run_ledger(&ba->run, &ba->drained);
	ktap_ok(tally_exact(&ba->run.out, all),
		"each frame once and in order: %llu of %llu, %llu missing, %llu repeated, %llu foreign",
		d->delivered, all, d->missing, d->repeated, d->foreign);
	ktap_ok(d->driver_drops == ba->filled.driver_drops,
		"no driver drop while draining: %llu",
		d->driver_drops - ba->filled.driver_drops);
	ktap_ok(ledger_balances(d), "conservation: %lld unaccounted",
		ledger_in_ring(d));
	ledger_figures(d);
	ktap_figure("rounds", ba->rounds, NULL);
}

int main(int argc, char **argv)
{
	struct batch ba = { .extra = 300, .offer = 64 };
	const struct scenario_option extra[] = {
		{ "extra", &ba.extra, "frames beyond the ring (300)" },
		{ "offer", &ba.offer, "buffers at a time (64)" },
	};

	scenario_parse(&ba.run.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&ba.run.sc);
	if (!scenario_owns_queue(&ba.run.sc) || !ba.run.sc.len ||
	    !ba.offer || ba.offer > VHOST_BUFFERS)
		ktap_bail("vhost_batch takes tun or tap, a length above 0, 1 to %d buffers",
			  VHOST_BUFFERS);
	ba.run.sc.reader = READER_VHOST;
	ktap_plan(7);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&ba.run, "batch0");
	fill(&ba);
	first_batch(&ba);
	round_by_round(&ba);
	check_end(&ba);
	run_close(&ba.run);
	drops_stop();
	return ktap_status();
}
