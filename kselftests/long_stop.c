// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue stays stopped for longer than the core's watchdog would wait, since
 * nobody reads. That is the reader's right: nobody complains of it, and no
 * frame goes to the driver before there is room for it.
 */
#include <time.h>

#include "drops.h"
#include "kmsg.h"
#include "ktap.h"
#include "netdev.h"
#include "run.h"

#define EXTRA 5U
/* dev->watchdog_timeo is 5 s where a driver sets none, and looked at as often. */
#define LONG_S 11

static void wait_long(struct run *x, struct kmsg *kmsg)
{
	const struct timespec span = { .tv_sec = LONG_S };
	struct listener tap;
	struct tally seen;

	listener_open(&tap, x->b.dev, scenario_ether(&x->sc));
	tally_start(&seen, scenario_ether(&x->sc), x->b.cookie);
	nanosleep(&span, NULL);
	listener_collect(&tap, &seen);
	listener_close(&tap);
	ktap_ok(!kmsg_count(kmsg), "in %d s nobody complains", LONG_S);
	ktap_ok(!seen.frames, "and none goes to the driver: %llu", seen.frames);
}

int main(int argc, char **argv)
{
	unsigned int held, got;
	struct kmsg kmsg;
	struct run x;

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&x.sc);
	if (!run_has_backlog(&x) || !x.sc.len)
		ktap_bail("long_stop takes tun or tap, a qdisc, a length above 0");
	ktap_plan(4);
	kmsg_open(&kmsg, "NETDEV WATCHDOG");
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "long0");
	run_send(&x, x.sc.len + EXTRA);
	held = (unsigned int)run_backlog(&x);
	ktap_ok(held == EXTRA, "%u of %u wait", held, EXTRA);
	if (held) {
		wait_long(&x, &kmsg);
	} else {
		ktap_skip("nothing is stopped", "nobody complains");
		ktap_skip("nothing is stopped", "and none goes to the driver");
	}
	reader_start(&x.r);
	got = reader_take(&x.r, x.sc.len + held);
	ktap_ok(got == x.sc.len + held, "then all come out: %u of %u", got,
		x.sc.len + held);
	run_close(&x);
	drops_stop();
	kmsg_close(&kmsg);
	return ktap_status();
}
