// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net takes frames from the ring ahead of the buffers it has for them.
 * Letting go of the device it returns them, and what no longer fits is
 * destroyed, by stock too: so much is counted here, not forbidden. What must
 * not be is a queue that afterwards stays stopped over a ring with room, or
 * frames out of order, or a device that outlives its last file (bench_close()).
 * It lets go when its backend is taken away, or given another device's, or when
 * its owner resets or closes it; in several rounds, with more frames sent in
 * between.
 */
#include <string.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "scenario.h"
#include "stall.h"

/* What is returned and finds no slot is freed in here. */
#define DESTROYED_IN "tun_ptr_free"

enum how { HOW_BACKEND, HOW_OWNER, HOW_CLOSE, HOW_SWAP };

static const char * const ways[] = { "backend", "owner", "close", "swap", NULL };

struct release {
	struct scenario sc;
	enum how how;
	struct bench bench;
	struct bench other;	/* whose backend is swapped in */
	unsigned int extra;
	unsigned int offer;
	unsigned int pre;
	unsigned int rounds;
	struct sender sender;
	struct tally tally;
	struct reader vhost;
	struct reader plain;
};

static unsigned int backlog(const struct release *re)
{
	struct qdisc_stats qd;

	qdisc_read(re->bench.dev, &qd);
	return qd.qlen;
}

/* Under noqueue a refusal is the driver's drop, and counted as that. */
static u64 sent(const struct release *re)
{
	const struct sender *s = &re->sender;

	if (qdisc_holds(re->sc.qdisc))
		return s->frame.seq;
	return s->frame.seq + s->count[SEND_NOBUFS];
}

/* Neither delivered nor known to be dropped, nor in the qdisc. */
static u64 in_ring(const struct release *re)
{
	return sent(re) - re->tally.frames - backlog(re) -
	       drops_count_at("FULL_RING") - drops_count_at(DESTROYED_IN);
}

/*
 * Frames wait in the qdisc and nobody reads: then the ring must be full, and
 * that holds a moment after the release, when the softirq has had its turn.
 */
static bool settles(const struct release *re)
{
	u64 held = in_ring(re);
	struct stall st;

	stall_start(&st, re->sc.stall_ms);
	while (backlog(re) && held < re->sc.len) {
		stall_note(&st, held);
		if (stall_over(&st)) {
			ktap_diag("stalled: backlog %u, ring %llu of %u",
				  backlog(re), (unsigned long long)held,
				  re->sc.len);
			return false;
		}
		stall_nap(5 * NSEC_PER_MSEC);
		held = in_ring(re);
	}
	return true;
}

/* No more at a time than the ring takes: stock, too, must deliver them all. */
static bool fresh(struct release *re, struct reader *r)
{
	unsigned int i, want, got, room = ring_room(re->sc.len);

	for (i = 0; i < 3; i++) {
		want = sender_send_many(&re->sender, room);
		got = reader_take(r, want);
		if (want == room && got == want)
			continue;
		ktap_diag("stalled: %u of %u sent, %u came out, backlog %u",
			  want, room, got, backlog(re));
		return false;
	}
	return true;
}

static void open_readers(struct release *re)
{
	reader_open(&re->vhost, READER_VHOST, re->bench.fd[0], &re->tally,
		    re->sc.stall_ms);
	reader_open(&re->plain, READER_POLL, re->bench.fd[0], &re->tally,
		    re->sc.stall_ms);
}

static void close_readers(struct release *re)
{
	reader_close(&re->vhost);
	reader_close(&re->plain);
}

/* All buffers are used up; what vhost still holds goes back. */
static void let_go(struct release *re)
{
	switch (re->how) {
	case HOW_BACKEND:
		vhost_detach(re->vhost.vhost);
		break;
	case HOW_OWNER:
		vhost_reset(re->vhost.vhost);
		break;
	case HOW_CLOSE:
		close_readers(re);
		open_readers(re);
		break;
	case HOW_SWAP:
		vhost_attach(re->vhost.vhost, re->other.fd[0]);
		vhost_detach(re->vhost.vhost);
		break;
	}
}

static void transfer(struct release *re)
{
	unsigned int i, want, most, missed = 0;
	bool settled = true;

	for (i = 0; i < re->rounds; i++) {
		if (i)
			sender_send_many(&re->sender, re->offer);
		/* Stock has no more than this. */
		most = (unsigned int)in_ring(re);
		want = min(re->offer, min(most, (unsigned int)VHOST_BATCH));
		reader_start(&re->vhost);
		/* As a rule both ways are the same device's. */
		if (re->how == HOW_OWNER || re->how == HOW_CLOSE)
			vhost_attach_tx(re->vhost.vhost, re->bench.fd[0]);
		missed += want - reader_take(&re->vhost, want);
		let_go(re);
		settled = settles(re) && settled;
	}
	ktap_ok(!missed, "vhost delivers what it has buffers for");
	ktap_ok(settled, "nothing waits in front of a ring with room");
}

static void release(struct release *re)
{
	struct netdev_stats dev;
	u64 lost, destroyed;
	unsigned int got;

	sender_send_many(&re->sender, re->sc.len + re->extra);
	ktap_figure("backlog_before", backlog(re), "frames");
	/* Reading some leaves slots that are read and not yet free. */
	reader_take(&re->plain, min(re->pre, re->sc.len));
	transfer(re);
	ktap_figure("backlog_after", backlog(re), "frames");
	got = reader_rest(&re->plain);
	ktap_ok(!re->tally.repeated && !re->tally.foreign && !backlog(re),
		"a plain reader gets the rest, in order");
	ktap_figure("returned", got, "frames");

	lost = drops_count_at("FULL_RING");
	destroyed = drops_count_at(DESTROYED_IN);
	ktap_figure("sent", (long long)sent(re), "frames");
	ktap_figure("delivered", (long long)re->tally.frames, "frames");
	ktap_figure("driver_drops", (long long)lost, "frames");
	ktap_figure("destroyed", (long long)destroyed, "frames");
	ktap_ok(sent(re) == re->tally.frames + lost + destroyed,
		"delivered, dropped and destroyed are all there were");
	netdev_stats(re->bench.dev, &dev);
	ktap_ok(dev.tx_dropped == lost && !dev.errors &&
		dev.tx_packets == re->tally.frames,
		"the device counts what was dropped, and what came out: %llu of %llu, %llu of %llu",
		dev.tx_dropped, lost, dev.tx_packets, re->tally.frames);

	ktap_ok(fresh(re, &re->plain), "fresh frames reach a plain reader");
	reader_start(&re->vhost);
	ktap_ok(fresh(re, &re->vhost), "attached again, vhost gets fresh frames");
}

int main(int argc, char **argv)
{
	struct release re = {
		.how = (enum how)choice_take(&argc, argv, "how", ways,
					     HOW_BACKEND),
		.extra = 100,
		.offer = 10,
		.rounds = 1,
	};
	const struct scenario_option options[] = {
		{ "extra", &re.extra, "frames beyond the ring's length" },
		{ "offer", &re.offer, "buffers, at most 64 or the length" },
		{ "pre", &re.pre, "frames read before vhost comes" },
		{ "rounds", &re.rounds, "vhost comes and goes" },
	};

	scenario_parse(&re.sc, argc, argv, options, ARRAY_SIZE(options));
	if (!scenario_owns_queue(&re.sc) || !re.sc.len)
		ktap_bail("vhost_release takes tun or tap and a length above 0");
	ktap_plan(7);
	re.sc.own_protocol = true;
	netns_enter();
	bench_open(&re.bench, &re.sc, "release0");
	bench_sender(&re.bench, &re.sc, &re.sender, false);
	tally_start(&re.tally, scenario_ether(&re.sc), re.bench.cookie);
	if (re.how == HOW_SWAP)
		bench_open(&re.other, &re.sc, "release1");
	open_readers(&re);
	bench_count_freed(&re.sc);
	release(&re);
	drops_stop();
	close_readers(&re);
	sender_close(&re.sender);
	bench_close(&re.bench);
	if (re.how == HOW_SWAP)
		bench_close(&re.other);
	return ktap_status();
}
