// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device is set down and up again over a ring that is full. Setting it up
 * starts its queue, so the driver has to stop it once more: what is sent then
 * waits in the qdisc and reaches the driver once, when there is room for it.
 */
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "qdisc.h"
#include "reader.h"
#include "scenario.h"

#define LATE 3U

struct test {
	struct scenario sc;
	struct bench bench;
	struct sender sender;
	struct listener tap;
	struct tally seen;	/* by the packet tap, on the way to the driver */
	struct tally out;
	struct reader reader;
};

static void check(struct test *t)
{
	/* pfifo_fast holds no more than the device's length. */
	unsigned int late = min(qdisc_capacity(t->sc.qdisc, t->sc.len), LATE);
	unsigned int all = t->sc.len + late, accepted, got;
	struct qdisc_stats qd;

	if (sender_send_many(&t->sender, t->sc.len) != t->sc.len)
		ktap_bail("the ring does not take its length");
	netdev_up(t->bench.dev, false);
	netdev_up(t->bench.dev, true);
	if (!probe_running(t->bench.dev, true, t->sc.stall_ms))
		ktap_bail("%s does not come up", t->bench.dev);

	listener_open(&t->tap, t->bench.dev, scenario_ether(&t->sc));
	t->seen.next = t->sc.len;
	accepted = sender_send_many(&t->sender, late);
	listener_collect(&t->tap, &t->seen);
	qdisc_read(t->bench.dev, &qd);
	ktap_ok(!t->seen.frames, "none goes to the driver while the ring is full: %llu",
		(unsigned long long)t->seen.frames);
	ktap_ok(accepted == late && qd.qlen == late,
		"all wait in the qdisc: %u of %u", qd.qlen, late);

	reader_open(&t->reader, t->sc.reader, t->bench.fd[0], &t->out,
		    t->sc.stall_ms);
	reader_start(&t->reader);
	/* What is known to be lost need not be waited for. */
	got = reader_take(&t->reader, all - (unsigned int)drops_count());
	listener_collect(&t->tap, &t->seen);
	ktap_ok(got == all && tally_exact(&t->out, all),
		"all come out once, in order: %u of %u", got, all);
	ktap_ok(t->seen.frames == late && !t->seen.repeated,
		"each went to the driver once: %llu, %llu more than once",
		(unsigned long long)t->seen.frames,
		(unsigned long long)t->seen.repeated);
	ktap_ok(!drops_count(), "the driver drops nothing: %llu",
		(unsigned long long)drops_count());
	reader_close(&t->reader);
	listener_close(&t->tap);
}

int main(int argc, char **argv)
{
	struct test t = {};

	scenario_parse(&t.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&t.sc);
	if (!scenario_owns_queue(&t.sc) || !t.sc.len || !qdisc_holds(t.sc.qdisc))
		ktap_bail("link_full takes tun or tap, a length above 0, a qdisc");
	ktap_plan(5);
	netns_enter();
	bench_open(&t.bench, &t.sc, "link0");
	bench_sender(&t.bench, &t.sc, &t.sender, false);
	tally_start(&t.seen, scenario_ether(&t.sc), t.bench.cookie);
	tally_start(&t.out, scenario_ether(&t.sc), t.bench.cookie);
	drops_start("FULL_RING");
	check(&t);
	drops_stop();
	sender_close(&t.sender);
	bench_close(&t.bench);
	return ktap_status();
}
