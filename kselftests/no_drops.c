// SPDX-License-Identifier: GPL-2.0-only
/*
 * Send more than the ring holds while nobody reads, then read it all.
 *
 * With a qdisc the driver must drop nothing: what the ring has no room for
 * waits in the qdisc, to the frame. Without one (noqueue), at length 0, and on
 * macvtap and ipvtap, whose rings no tx queue feeds, the rest is dropped.
 */
#include <linux/if_tun.h>

#include "drops.h"
#include "ktap.h"
#include "ledger.h"
#include "netdev.h"
#include "run.h"

#define GROWN_LEN 8

struct test {
	struct run run;
	struct listener l;
	struct tally tap;	/* at the packet tap */
	struct ledger filled;
	struct ledger drained;
	unsigned int extra;
	unsigned int tried;
	bool stalled;
};

static void fill(struct test *t)
{
	t->tried = t->run.sc.len + t->extra;
	run_send(&t->run, t->tried);
	run_ledger(&t->run, &t->filled);
	listener_collect(&t->l, &t->tap);
}

static void drain(struct test *t)
{
	reader_start(&t->run.r);
	t->stalled = !run_drain(&t->run);
	run_ledger(&t->run, &t->drained);
	listener_collect(&t->l, &t->tap);
}

static void figures(const struct test *t)
{
	ledger_figures(&t->drained);
	ktap_figure("backlog", (long long)t->filled.held, NULL);
	ktap_figure("tap_copies", (long long)t->tap.frames, NULL);
}

static void check_drained(const struct test *t, u64 expected)
{
	struct netdev_stats dev;
	char buf[FRAME_MAX];
	u64 bytes = t->run.out.frames * frame_build(buf, &t->run.s.frame);

	ktap_ok(!t->stalled, "the reader gets all that waits%s",
		t->stalled ? ": stalled" : "");
	ktap_ok(tally_exact(&t->run.out, expected),
		"each frame once and in order: %llu of %llu, %llu missing, %llu repeated, %llu foreign",
		t->run.out.frames, expected, t->run.out.missing,
		t->run.out.repeated, t->run.out.foreign);
	ktap_ok(ledger_balances(&t->drained),
		"conservation: %llu tried, %llu delivered, %llu driver drops, %llu qdisc drops, %lld unaccounted",
		t->drained.sent + t->drained.enobufs, t->drained.delivered,
		t->drained.driver_drops, t->drained.qdisc_drops,
		ledger_in_ring(&t->drained));
	netdev_stats(t->run.b.dev, &dev);
	if (scenario_owns_queue(&t->run.sc))
		ktap_ok(dev.tx_packets == t->run.out.frames &&
			dev.tx_bytes == bytes,
			"the device counts what it delivered as sent: %llu of %llu, %llu of %llu bytes",
			dev.tx_packets, t->run.out.frames, dev.tx_bytes, bytes);
	else
		ktap_skip("what it delivers it has received", "counted as sent");
	ktap_ok(!dev.errors, "a full ring is no error of the device: %llu",
		dev.errors);
}

static void test_qdisc(struct test *t)
{
	const struct ledger *f = &t->filled;
	struct tally early;

	ktap_plan(12);
	fill(t);
	early = t->tap;
	ktap_ok(!f->driver_drops, "no FULL_RING drop while filling: %llu",
		f->driver_drops);
	ktap_ok(!f->tx_dropped, "tx_dropped stays 0: %llu", f->tx_dropped);
	ktap_ok(f->sent >= t->run.sc.len && f->held == f->sent - t->run.sc.len,
		"the qdisc holds all but the ring's %u: %llu of %llu sent",
		t->run.sc.len, f->held, f->sent);
	/* One at most: the first frame after the stop bypasses the qdisc. */
	ktap_ok(f->requeues <= 1, "no requeues: %llu", f->requeues);
	ktap_ok(tally_exact(&early, t->run.sc.len),
		"a packet tap saw the ring's frames once: %llu, %llu repeated",
		early.frames, early.repeated);
	drain(t);
	check_drained(t, t->drained.sent);
	ktap_ok(!t->drained.driver_drops && !t->drained.tx_dropped,
		"no driver drop while draining: %llu", t->drained.driver_drops);
	ktap_ok(tally_exact(&t->tap, t->drained.sent),
		"a packet tap saw each frame once: %llu of %llu, %llu repeated",
		t->tap.frames, t->drained.sent, t->tap.repeated);
}

/* The ring was drained, so as many frames as it holds must go in again. */
static void check_flows(struct test *t, unsigned int n)
{
	u64 before = t->run.out.frames;
	unsigned int got;

	run_send(&t->run, n);
	reader_start(&t->run.r);
	got = reader_take(&t->run.r, n);
	ktap_ok(got == n && t->run.out.frames == before + n,
		"fresh frames flow: %u of %u", got, n);
}

static void test_dropping(struct test *t)
{
	const struct ledger *f = &t->filled;
	bool own = scenario_owns_queue(&t->run.sc);
	u64 excess = t->extra;
	u64 counted;

	ktap_plan(10);
	fill(t);
	counted = own ? f->tx_dropped : f->rx_dropped;
	ktap_ok(f->driver_drops == excess,
		"what the ring cannot hold is a FULL_RING drop: %llu of %llu",
		f->driver_drops, excess);
	ktap_ok(counted == excess, "and counted by the device: %llu", counted);
	ktap_ok(!f->send_errors && f->enobufs == (own ? excess : 0),
		"send never blocks or fails but for drops: %llu ENOBUFS, %llu other",
		f->enobufs, f->send_errors);
	ktap_ok(t->tap.frames == t->tried,
		"a packet tap saw each attempt once: %llu of %u",
		t->tap.frames, t->tried);
	drain(t);
	check_drained(t, t->run.sc.len);
	figures(t);
	/* Numbers that were dropped late leave a gap; only count from here. */
	check_flows(t, t->run.sc.len);
}

/* Nobody could ever wake a queue that stops over a ring without slots. */
static void test_zero(struct test *t)
{
	const struct ledger *f = &t->filled;
	bool stopped;

	ktap_plan(5);
	fill(t);
	stopped = scenario_owns_queue(&t->run.sc) &&
		  bench_stopped(&t->run.b, &t->run.sc);
	ktap_ok(f->driver_drops == t->tried,
		"length 0: everything is a FULL_RING drop: %llu of %u",
		f->driver_drops, t->tried);
	ktap_ok(!f->held && !stopped,
		"length 0: the queue never stops: backlog %llu, %s", f->held,
		stopped ? "stopped" : "running");
	ktap_ok(!f->send_errors, "send never blocks or fails but for drops");
	drain(t);
	ktap_ok(!t->run.out.frames, "nothing to read: %llu", t->run.out.frames);
	figures(t);
	netdev_txqueuelen(t->run.b.dev, GROWN_LEN);
	check_flows(t, GROWN_LEN);
}

static void test_open(struct test *t)
{
	bool ether = scenario_ether(&t->run.sc);

	netns_enter();
	drops_start("FULL_RING");
	run_open(&t->run, "kst0");
	tally_start(&t->tap, ether, t->run.b.cookie);
	listener_open(&t->l, t->run.b.via, ether);
}

int main(int argc, char **argv)
{
	struct test t = { .extra = 96 };
	unsigned int one_queue = 0, persist = 0;
	const struct scenario_option extra[] = {
		{ "extra", &t.extra, "frames beyond the ring (96)" },
		{ "one-queue", &one_queue, "1: opened as QEMU does it, with IFF_ONE_QUEUE" },
		{ "persist", &persist, "1: the device outlives its file" },
	};

	scenario_parse(&t.run.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.run.sc);
	/* It has meant nothing for long. */
	if (one_queue)
		t.run.sc.tun_flags = IFF_ONE_QUEUE;
	test_open(&t);
	if (persist)
		tuntap_persist(t.run.b.fd[0], true);
	if (!t.run.sc.len)
		test_zero(&t);
	else if (run_has_backlog(&t.run))
		test_qdisc(&t);
	else
		test_dropping(&t);
	listener_close(&t.l);
	if (persist)
		tuntap_persist(t.run.b.fd[0], false);
	run_close(&t.run);
	drops_stop();
	return ktap_status();
}
