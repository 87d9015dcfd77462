// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bridge in front of the taps, as virtual machines have it: what arrives at
 * its other port is forwarded in a softirq, which can neither wait nor be told
 * of a loss. Frames for a full ring have to wait in the qdisc of that tap.
 *
 * With --taps 2 the first one's reader is stuck and the second one's is not:
 * that one must not notice, nor miss what is flooded to both.
 */
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_ether.h>

#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "probe.h"
#include "qdisc.h"
#include "ring.h"
#include "scenario.h"
#include "stall.h"

#define BRIDGE "kst-br"
#define PORT "kst-port"
#define FAR "kst-far"
#define MOST_TAPS 2
#define BEYOND 40

/* A tap and the machine behind it. */
struct machine {
	struct bench bench;
	struct sender sender;	/* at the far end, for this machine */
	struct tally out;
	struct reader reader;
};

struct test {
	struct scenario sc;
	unsigned int taps;
	struct machine vm[MOST_TAPS];
};

static const char * const names[MOST_TAPS] = { "vm0", "vm1" };

/* What a port has before it comes to the bridge forwards at once. */
static void open_bridge(struct test *t)
{
	netdev_bridge(BRIDGE);
	netdev_up(BRIDGE, true);
	netdev_veth(PORT, FAR);
	qdisc_replace(PORT, "noqueue");
	qdisc_replace(FAR, "noqueue");
	netdev_up(PORT, true);
	netdev_up(FAR, true);
	probe_must_run(PORT, true, t->sc.stall_ms);
	probe_must_run(FAR, true, t->sc.stall_ms);
	netdev_enslave(PORT, BRIDGE);
}

static void open_machine(struct test *t, unsigned int i)
{
	struct machine *vm = &t->vm[i];
	struct scenario sc = t->sc;

	/* What is meant for one is foreign to the other. */
	sc.seed += i;
	bench_open(&vm->bench, &sc, names[i]);
	probe_must_run(names[i], true, t->sc.stall_ms);
	netdev_enslave(names[i], BRIDGE);
	tally_start(&vm->out, true, vm->bench.cookie);
	sender_open(&vm->sender, FAR, true, false, vm->bench.cookie);
	vm->sender.frame.dst_mac[ETH_ALEN - 1] = (u8)(0x10 + i);
	reader_open(&vm->reader, t->sc.reader, vm->bench.fd[0], &vm->out,
		    t->sc.stall_ms);
}

/* The bridge learns where it is from the first frame that it sends. */
static void announce(struct machine *vm)
{
	struct frame hello = {
		.ether = true,
		.port = 1,
		.dst_mac = { 2, 0, 0, 0, 0, 1 },
		.cookie = ~vm->bench.cookie,
	};
	char buf[FRAME_MAX];
	size_t len = frame_build(buf, &hello);

	memcpy(buf + ETH_ALEN, vm->sender.frame.dst_mac, ETH_ALEN);
	if (write(vm->bench.fd[0], buf, len) != (ssize_t)len)
		ktap_bail("write to %s", vm->bench.dev);
}

static void test_open(struct test *t)
{
	unsigned int i;

	netns_enter();
	/* What arrives at the far end is forwarded on the sender's CPU. */
	cpu_pin(sched_getcpu());
	open_bridge(t);
	/* The first one last: nothing that is flooded has been in its ring. */
	for (i = t->taps; i--;) {
		open_machine(t, i);
		announce(&t->vm[i]);
	}
	for (i = 0; i < t->taps; i++) {
		reader_rest(&t->vm[i].reader);
		tally_start(&t->vm[i].out, true, t->vm[i].bench.cookie);
	}
	drops_start("FULL_RING");
}

static u64 backlog(const struct machine *vm)
{
	struct qdisc_stats qd;

	qdisc_read(vm->bench.dev, &qd);
	return qd.qlen;
}

/* Until all that the ring does not hold is seen to wait, or to be dropped. */
static void settle(const struct test *t, const struct machine *vm, u64 excess)
{
	struct stall st;
	u64 seen;

	stall_start(&st, t->sc.stall_ms);
	while ((seen = backlog(vm) + drops_count()) < excess) {
		stall_note(&st, seen);
		if (stall_over(&st))
			break;
		stall_breathe();
	}
}

static void check_filled(struct test *t)
{
	struct machine *vm = &t->vm[0];
	bool holds = qdisc_holds(t->sc.qdisc);
	unsigned int n = t->sc.len + BEYOND, sent;
	struct netdev_stats dev;

	sent = sender_send_many(&vm->sender, n);
	settle(t, vm, BEYOND);
	netdev_stats(vm->bench.dev, &dev);
	ktap_ok(sent == n, "the far end never notices: %u of %u sent", sent, n);
	ktap_ok(drops_count() == (holds ? 0 : BEYOND) &&
		dev.tx_dropped == drops_count(),
		"driver drops: %llu, tx_dropped %llu", drops_count(),
		dev.tx_dropped);
	ktap_ok(backlog(vm) == (holds ? BEYOND : 0),
		"%llu wait in the qdisc of the tap", backlog(vm));
	ktap_figure("filled_drops", (long long)drops_count(), NULL);
	ktap_figure("filled_backlog", (long long)backlog(vm), NULL);
}

static void check_drained(struct test *t)
{
	struct machine *vm = &t->vm[0];
	unsigned int got, want = t->sc.len + BEYOND;
	u64 before;
	bool flows = true;
	unsigned int i;

	want -= (unsigned int)drops_count();
	reader_start(&vm->reader);
	got = reader_take(&vm->reader, want);
	ktap_ok(got == want && tally_exact(&vm->out, want),
		"all that was kept comes out in order: %llu of %u, %llu missing, %llu repeated, %llu foreign",
		vm->out.frames, want, vm->out.missing, vm->out.repeated,
		vm->out.foreign);
	before = drops_count();
	for (i = 0; i < 3 && flows; i++) {
		want = sender_send_many(&vm->sender, ring_room(t->sc.len));
		flows = reader_take(&vm->reader, want) == want;
	}
	ktap_ok(flows && drops_count() == before && !vm->out.repeated,
		"frames go on flowing");
	ktap_figure("delivered", (long long)vm->out.frames, NULL);
	ktap_figure("driver_drops", (long long)drops_count(), NULL);
}

static void check_stuck(struct test *t)
{
	struct machine *stuck = &t->vm[0], *other = &t->vm[1];
	unsigned int i, n, want = 0, room = ring_room(t->sc.len);
	bool flows = true, flooded = true;
	struct sender all;
	u64 drops, seq;

	sender_send_many(&stuck->sender, t->sc.len + BEYOND);
	settle(t, stuck, BEYOND);
	reader_start(&other->reader);
	for (i = 0; i < 5 && flows; i++) {
		n = sender_send_many(&other->sender, room);
		want += n;
		flows = n == room && reader_take(&other->reader, n) == n;
	}
	ktap_ok(flows && tally_exact(&other->out, want),
		"one stuck does not hold up the other: %llu of %u",
		other->out.frames, want);
	ktap_ok(!backlog(other), "nothing waits for it: %llu", backlog(other));
	/* To both: of the one that is stuck the rest may wait or be lost. */
	drops = drops_count() + backlog(stuck);
	all = other->sender;
	memset(all.frame.dst_mac, 0xff, ETH_ALEN);
	for (i = 0; i < room && flooded; i++)
		flooded = sender_send(&all) == SEND_OK &&
			  reader_take(&other->reader, 1) == 1;
	ktap_ok(flooded && tally_exact(&other->out, want + room),
		"nor what is flooded to both: %llu of %u", other->out.frames,
		want + room);
	settle(t, stuck, drops + room);
	ktap_ok(drops_count() + backlog(stuck) == drops + room,
		"the other copies are at the one that is stuck: %llu of %u",
		drops_count() + backlog(stuck) - drops, room);
	seq = t->sc.len + backlog(stuck);
	reader_start(&stuck->reader);
	n = reader_take(&stuck->reader, (unsigned int)seq);
	ktap_ok(n == seq && !stuck->out.repeated,
		"the one that was stuck gets what was kept: %u of %llu", n, seq);
}

int main(int argc, char **argv)
{
	struct test t = { .taps = 1 };
	const struct scenario_option extra[] = {
		{ "taps", &t.taps, "1, or 2 of which one is stuck" },
	};
	unsigned int i;

	scenario_parse(&t.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.sc);
	if (t.sc.dev != DEV_TAP || !t.sc.len || !t.taps || t.taps > MOST_TAPS)
		ktap_bail("tap, a length above 0, 1 or 2 taps");
	ktap_plan(5);
	test_open(&t);
	if (t.taps > 1) {
		check_stuck(&t);
	} else {
		check_filled(&t);
		check_drained(&t);
	}
	drops_stop();
	for (i = 0; i < t.taps; i++) {
		reader_close(&t.vm[i].reader);
		sender_close(&t.vm[i].sender);
		bench_close(&t.vm[i].bench);
	}
	netdev_delete(PORT);
	netdev_delete(BRIDGE);
	return ktap_status();
}
