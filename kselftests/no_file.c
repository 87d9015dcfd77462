// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only file of a device is detached while its ring is full and a sender
 * sleeps for what waits in front of it. There is no ring any more for which
 * anything could wait: the driver drops what comes, and nobody is held up.
 */
#include "drops.h"
#include "feeder.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"

/* More than fits: the least socket buffer takes some six small frames. */
#define EXTRA 40

static void check_detached(struct run *x, struct feeder *f)
{
	struct netdev_stats was, is;
	unsigned int sent, left;
	u64 before, drops;

	if (!ktap_ok(feeder_ends(f, x->sc.stall_ms), "who slept goes on"))
		ktap_diag("stalled: %llu of %u sent, backlog %llu",
			  (unsigned long long)f->st->sent, x->sc.len + EXTRA,
			  (unsigned long long)run_backlog(x));
	left = (unsigned int)run_backlog_falls(x, 0);
	ktap_ok(!left, "nothing waits where there is no ring: %u", left);
	before = drops_count();
	netdev_stats(x->b.dev, &was);
	sent = sender_send_many(&x->s, EXTRA);
	drops = drops_count() - before;
	netdev_stats(x->b.dev, &is);
	ktap_ok(sent == EXTRA && drops == sent &&
		is.tx_dropped - was.tx_dropped == drops,
		"what is sent is dropped and counted: %llu and %llu of %u", drops,
		is.tx_dropped - was.tx_dropped, sent);
}

int main(int argc, char **argv)
{
	struct run x = {};
	struct feeder f;
	unsigned int n;

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&x.sc);
	if (!scenario_owns_queue(&x.sc) || !x.sc.len || !qdisc_holds(x.sc.qdisc))
		ktap_bail("tun and tap only, a length above 0, a qdisc");
	x.sc.multi_queue = true;
	ktap_plan(4);
	netns_enter();
	drops_start("DEV_READY");
	run_open(&x, "detach0");
	feeder_open(&f, &x.b, &x.sc, VIA_PACKET);
	f.packet.frame.cookie ^= 1;
	feeder_start(&f, x.sc.len + EXTRA, FEED_BLOCK);
	ktap_figure("sender_sleeps", feeder_blocks(&f, x.sc.stall_ms), "boolean");

	tuntap_queue(x.b.fd[0], false);
	check_detached(&x, &f);
	tuntap_queue(x.b.fd[0], true);
	reader_start(&x.r);
	n = ring_room(x.sc.len);
	ktap_ok(sender_send_many(&x.s, n) == n && reader_take(&x.r, n) == n &&
		x.out.frames == n, "attached again, its file gets what is sent");

	feeder_close(&f);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
