// SPDX-License-Identifier: GPL-2.0-only
/*
 * A series may stop queues only where a device was opened with a flag,
 * IFF_BACKPRESSURE. Then one without it drops as stock does, whatever its
 * qdisc, and one with it does not. A kernel that does not know the flag has
 * nothing to show here.
 */
#include "drops.h"
#include "ktap.h"
#include "ledger.h"
#include "netdev.h"
#include "qdisc.h"
#include "run.h"

#define BEYOND 40
#define TESTS 7

static void fill(struct run *x, struct ledger *l, const char *name)
{
	run_open(x, name);
	run_send(x, x->sc.len + BEYOND);
	run_ledger(x, l);
}

static void check_without(struct run *x)
{
	unsigned int len = x->sc.len;
	struct ledger l;

	tuntap_opt_in(false);
	fill(x, &l, "without0");
	ktap_ok(!(tuntap_flags(x->b.fd[0]) & IFF_BACKPRESSURE),
		"a device that was not asked to has no such flag");
	ktap_ok(l.driver_drops == BEYOND && l.tx_dropped == BEYOND && !l.held,
		"without it the driver drops as stock does: %llu, %llu wait",
		l.driver_drops, l.held);
	ktap_ok(!bench_stopped(&x->b, &x->sc), "and the queue never stops");
	run_drain(x);
	run_ledger(x, &l);
	ktap_ok(tally_exact(&x->out, len) && ledger_in_ring(&l) <= 0,
		"what the ring holds comes out: %llu of %u", x->out.frames,
		len);
	run_close(x);
}

static void check_with(struct run *x)
{
	struct ledger l;
	bool all;

	tuntap_opt_in(true);
	fill(x, &l, "with0");
	ktap_ok(tuntap_flags(x->b.fd[0]) & IFF_BACKPRESSURE,
		"a device that was asked to has the flag");
	ktap_ok(!l.driver_drops && l.held == BEYOND,
		"with it the rest waits: %llu, %llu dropped", l.held,
		l.driver_drops);
	all = run_drain(x);
	ktap_ok(all && tally_exact(&x->out, x->sc.len + BEYOND),
		"and all comes out: %llu", x->out.frames);
	run_close(x);
}

int main(int argc, char **argv)
{
	struct run without = {}, with = {};

	scenario_parse(&without.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&without.sc);
	if (!run_has_backlog(&without) || !without.sc.len)
		ktap_bail("tun or tap, a qdisc and a length above 0");
	ktap_plan(TESTS);
	if (!tuntap_may_opt_in()) {
		ktap_skip_rest("no IFF_BACKPRESSURE among the kernel's features");
		return ktap_status();
	}
	with.sc = without.sc;
	netns_enter();
	drops_start("FULL_RING");
	check_without(&without);
	check_with(&with);
	drops_stop();
	return ktap_status();
}
