// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue stays stopped for longer than the core's watchdog would wait, since
 * nobody reads. That is the reader's right: nobody complains of it, and no
 * frame goes to the driver before there is room for it. Two tuns and two taps at
 * once, whatever --dev says: it takes its time.
 */
#include "drops.h"
#include "kmsg.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "run.h"
#include "stall.h"

#define EXTRA 5U
#define DEV_PREFIX "stopped-"
/*
 * dev->watchdog_timeo is 5 s where a driver sets none. The core looks when that
 * is over since the device came up, at a full second a quarter before to three
 * quarters after it (round_jiffies()), and before 6.11 then only 5 s later. Of
 * two devices half a second apart one at least is looked at late enough, when
 * its queue has been stopped for that long.
 */
#define APART_MS 500
#define LONG_MS 6500

static const enum dev_kind devs[] = { DEV_TUN, DEV_TAP, DEV_TUN, DEV_TAP };
static const char * const names[] = {
	DEV_PREFIX "tun0", DEV_PREFIX "tap0",
	DEV_PREFIX "tun1", DEV_PREFIX "tap1",
};

struct stopped {
	struct run x;
	struct listener tap;
	struct tally seen;
	unsigned int held;	/* by the qdisc */
};

static void stop(struct stopped *st, const struct scenario *sc, unsigned int i)
{
	struct run *x = &st->x;

	x->sc = *sc;
	x->sc.dev = devs[i];
	run_open(x, names[i]);
	run_send(x, x->sc.len + EXTRA);
	st->held = (unsigned int)run_backlog(x);
	listener_open(&st->tap, x->b.dev, scenario_ether(&x->sc));
	tally_start(&st->seen, scenario_ether(&x->sc), x->b.cookie);
}

/* All that waited comes out. */
static bool drain(struct stopped *st)
{
	struct run *x = &st->x;
	unsigned int got, want = x->sc.len + st->held;

	reader_start(&x->r);
	got = reader_take(&x->r, want);
	if (got != want)
		ktap_diag("%s: %u of %u", x->b.dev, got, want);
	listener_close(&st->tap);
	run_close(x);
	return got == want;
}

int main(int argc, char **argv)
{
	struct stopped st[ARRAY_SIZE(devs)] = {};
	unsigned int i, held = 0, all = ARRAY_SIZE(devs) * EXTRA;
	struct scenario sc;
	bool out = true;
	struct kmsg kmsg;
	u64 seen = 0;

	scenario_parse(&sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&sc);
	if (!qdisc_holds(sc.qdisc) || !sc.len)
		ktap_bail("long_stop takes a qdisc, a length above 0; tun and tap both");
	ktap_plan(4);
	/* Each line on a matter of the devices names one of them. */
	kmsg_open(&kmsg, DEV_PREFIX);
	netns_enter();
	drops_start("FULL_RING");
	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		if (i == ARRAY_SIZE(devs) / 2)
			stall_nap(APART_MS * NSEC_PER_MSEC);
		stop(&st[i], &sc, i);
		held += st[i].held;
	}
	if (ktap_ok(held == all, "%u of %u wait", held, all)) {
		stall_nap(LONG_MS * NSEC_PER_MSEC);
		for (i = 0; i < ARRAY_SIZE(devs); i++) {
			listener_collect(&st[i].tap, &st[i].seen);
			seen += st[i].seen.frames;
		}
		ktap_ok(!kmsg_count(&kmsg), "in %d ms nobody complains", LONG_MS);
		ktap_ok(!seen, "and none goes to the driver: %llu", seen);
	} else {
		ktap_skip("not all are stopped", "nobody complains");
		ktap_skip("not all are stopped", "and none goes to the driver");
	}
	for (i = 0; i < ARRAY_SIZE(devs); i++)
		out = drain(&st[i]) && out;
	ktap_ok(out, "then all come out");
	drops_stop();
	kmsg_close(&kmsg);
	return ktap_status();
}
