// SPDX-License-Identifier: GPL-2.0-only
/*
 * A frame that finds the ring full comes back to the qdisc as it was.
 *
 * Filled under noqueue, a ring is full below a running queue: the first frame
 * that comes through a qdisc put there afterwards has to be handed back. While
 * it waits it must have no TX timestamp and must count against its sender; a
 * filter that trims must not have seen it. Later on it gets one timestamp and
 * is trimmed once. Filled by a shrink, the queue may be stopped at once, and
 * the same must hold. The filter is an eBPF program, or one of a tap's socket.
 */
#include <string.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stamp.h"
#include "trim.h"

#define MOST_FRAMES 32

enum how { HOW_NOQUEUE, HOW_SHRINK };

static const char * const hows[] = { "noqueue", "shrink", NULL };

struct test {
	struct scenario sc;
	struct bench bench;
	enum how how;
	unsigned int frames;
	unsigned int socket_filter;
	unsigned int accepted;
	struct sender filler;
	struct sender late;	/* sends when the ring is full */
	unsigned int memory[MOST_FRAMES];
	struct stamps stamps;
	struct tally out;
	struct reader reader;
};

static void test_open(struct test *t)
{
	struct scenario sc = t->sc;
	bool ether = scenario_ether(&sc);

	if (t->how == HOW_NOQUEUE)
		sc.qdisc = "noqueue";
	else
		sc.len = 2 * t->sc.len;
	netns_enter();
	bench_open(&t->bench, &sc, "back0");
	if (t->socket_filter)
		trim_attach_socket(t->bench.fd[0]);
	else
		trim_attach(t->bench.fd[0]);
	bench_sender(&t->bench, &sc, &t->filler, false);
	bench_sender(&t->bench, &sc, &t->late, false);
	t->filler.frame.tail = TRIM_TAIL;
	t->late.frame.tail = TRIM_TAIL;
	stamp_on(&t->late);
	stamp_start(&t->stamps, ether, t->bench.cookie, TRIM_LEFT);
	tally_start(&t->out, ether, t->bench.cookie);
	t->out.tail = TRIM_LEFT;
	reader_open(&t->reader, sc.reader, t->bench.fd[0], &t->out,
		    sc.stall_ms);
	drops_start("FULL_RING");
}

static void fill(struct test *t)
{
	unsigned int n = sender_send_many(&t->filler, t->sc.len);

	if (n != t->sc.len)
		ktap_bail("%u frames fit into a ring of %u", n, t->sc.len);
	if (t->how == HOW_NOQUEUE)
		qdisc_replace(t->bench.dev, t->sc.qdisc);
	else
		netdev_txqueuelen(t->bench.dev, t->sc.len);
	/* Both send one flow: the late ones go on where the others end. */
	t->late.frame.seq = n;
	t->stamps.tally.next = n;
}

static void send_late(struct test *t)
{
	unsigned int i;

	for (i = 0; i < t->frames; i++) {
		t->accepted += sender_send(&t->late) == SEND_OK;
		t->memory[i] = stamp_memory(&t->late);
	}
}

/* The first frame's share, as often as there are frames. */
static bool memory_held(const struct test *t)
{
	unsigned int i;

	for (i = 0; i < t->frames; i++)
		if (!t->memory[0] || t->memory[i] != (i + 1) * t->memory[0])
			return false;
	return true;
}

static void check_waiting(struct test *t)
{
	const struct tally *stamped = &t->stamps.tally;
	unsigned int last = t->memory[t->frames - 1];
	struct qdisc_stats qd;

	qdisc_read(t->bench.dev, &qd);
	stamp_collect(&t->stamps, &t->late);
	ktap_ok(t->accepted == t->frames && qd.qlen == t->frames,
		"what finds the ring full waits in the qdisc: %u of %u",
		qd.qlen, t->frames);
	ktap_ok(!stamped->frames && !stamped->foreign,
		"no TX timestamp while it waits: %llu",
		stamped->frames + stamped->foreign);
	ktap_ok(memory_held(t) && stamp_memory(&t->late) == last,
		"it counts against its sender while it waits: %u bytes, %u for the first",
		stamp_memory(&t->late), t->memory[0]);
}

static void check_out(struct test *t)
{
	const struct tally *out = &t->out, *stamped = &t->stamps.tally;
	unsigned int got, all = t->sc.len + t->accepted;

	reader_start(&t->reader);
	/* What is known to be lost need not be waited for. */
	got = reader_take(&t->reader, all - (unsigned int)drops_count());
	got += reader_rest(&t->reader);
	stamp_collect(&t->stamps, &t->late);
	ktap_ok(got == all, "all come out: %u of %u", got, all);
	ktap_ok(tally_exact(out, all),
		"once, in order and trimmed once: %llu, %llu missing, %llu repeated, %llu of another length",
		out->frames, out->missing, out->repeated, out->foreign);
	ktap_ok(stamped->frames == t->frames && stamp_well(&t->stamps) &&
		!stamped->missing,
		"one TX timestamp each, trimmed once by then: %llu of %u, %llu repeated, %llu of another length, %llu blank, %llu in disorder",
		stamped->frames, t->frames, stamped->repeated,
		stamped->foreign, t->stamps.blank, t->stamps.disorder);
	ktap_ok(!stamp_memory(&t->late), "none counts against its sender then");
	ktap_ok(!drops_count(), "the driver drops nothing: %llu",
		drops_count());
}

int main(int argc, char **argv)
{
	struct test t = { .frames = 3 };
	const struct scenario_option extra[] = {
		{ "frames", &t.frames, "sent to the full ring" },
		{ "socket-filter", &t.socket_filter, "in place of eBPF (tap)" },
	};

	t.how = (enum how)choice_take(&argc, argv, "how", hows, HOW_NOQUEUE);
	scenario_parse(&t.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.sc);
	if (!scenario_owns_queue(&t.sc) || !t.sc.len || !t.frames ||
	    t.frames > MOST_FRAMES || !qdisc_holds(t.sc.qdisc))
		ktap_bail("tun or tap, a length above 0, a qdisc, 1 to %d frames",
			  MOST_FRAMES);
	if (t.socket_filter && t.sc.dev != DEV_TAP)
		ktap_bail("a filter on the socket is for tap");
	ktap_plan(8);
	test_open(&t);
	fill(&t);
	send_late(&t);
	check_waiting(&t);
	check_out(&t);
	drops_stop();
	reader_close(&t.reader);
	sender_close(&t.filler);
	sender_close(&t.late);
	bench_close(&t.bench);
	return ktap_status();
}
