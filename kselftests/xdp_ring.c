// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP frames share the ring of a tap with those that the qdisc sends.
 *
 *   waits    XDP frames fill the ring under a running queue, and what comes
 *            through the qdisc then waits there for a reader
 *   refused  the same, with a frame past the qdisc
 *   runs     XDP frames never stop the queue themselves
 *   beside   they come all the time while the qdisc sends and a reader reads
 *   bulk     of those that come to the driver in one call, what does not fit is
 *            one drop more, whatever their number
 *   destroyed  what of them is destroyed, by vhost-net or with its slot, is so
 *            in their own way
 *
 * They are redirected from another device, or with --back 1 written by the tap's
 * owner, and sent back by an XDP program of its own (XDP_TX).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf.h"
#include "choice.h"
#include "crew.h"
#include "drops.h"
#include "intake.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "stall.h"

#define EXTRA 5
/* XDP frames of the part beside, and of the qdisc's so many at least. */
#define BESIDE 1500
#define OWN_LEAST 500

enum part {
	PART_WAITS, PART_REFUSED, PART_BESIDE, PART_RUNS, PART_BULK,
	PART_DESTROYED,
};

static const char * const parts[] = {
	"waits", "refused", "beside", "runs", "bulk", "destroyed", NULL
};

/* The flows, by their number. */
enum origin { FROM_XDP, FROM_QDISC, FROM_BYPASS, FLOWS };

struct test {
	struct scenario sc;
	struct bench b;
	struct crew xdp;
	unsigned int back;
	u64 written;		/* to be sent back */
	struct sender qdisc;
	struct flows out;
	struct intake in;
	u64 xdp_after;	/* XDP frames that came after one of the qdisc */
};

static void got_frame(void *arg, const void *buf, size_t len)
{
	struct test *t = arg;
	u64 before = t->out.tally[FROM_XDP].frames;

	flows_frame(&t->out, buf, len);
	if (t->out.tally[FROM_QDISC].frames)
		t->xdp_after += t->out.tally[FROM_XDP].frames - before;
}

static size_t xdp_frame(const struct test *t, u64 seq, char *buf)
{
	struct frame f = t->qdisc.frame;

	f.port = FLOWS_PORT + FROM_XDP;
	f.seq = seq;
	return frame_build(buf, &f);
}

static void write_back(struct test *t, unsigned int n)
{
	char buf[FRAME_MAX];
	ssize_t len;

	/* tun asks the program before there is an skb only where write() need not wait. */
	tuntap_nonblock(t->b.fd[0]);
	while (n--) {
		len = (ssize_t)xdp_frame(t, t->written++, buf);
		if (write(t->b.fd[0], buf, (size_t)len) != len)
			ktap_bail("write: %s", strerror(errno));
	}
}

/* How many of them the driver counts as dropped. */
static u64 xdp_send(struct test *t, unsigned int n)
{
	struct netdev_stats before, after;

	netdev_stats(t->b.dev, &before);
	if (t->back) {
		write_back(t, n);
	} else {
		crew_start(&t->xdp, n);
		crew_end(&t->xdp);
	}
	netdev_stats(t->b.dev, &after);
	return after.tx_dropped - before.tx_dropped;
}

static u64 held(const struct test *t)
{
	struct qdisc_stats st;

	qdisc_read(t->b.dev, &st);
	return st.qlen;
}

/* Read on for @more frames, and say how many came. */
static unsigned int take(struct test *t, unsigned int more)
{
	u64 before = t->out.frames, want = before + more;
	struct stall st;

	/* vhost lets go again: what it had taken would leave room. */
	intake_open(&t->in, t->b.fd[0], t->sc.reader == READER_VHOST,
		    got_frame, t);
	stall_start(&st, t->sc.stall_ms);
	while (t->out.frames < want && !stall_over(&st)) {
		intake_some(&t->in, stall_left_ms(&st));
		stall_note(&st, t->out.frames);
	}
	intake_close(&t->in);
	return (unsigned int)(t->out.frames - before);
}

static bool once_in_order(const struct test *t, enum origin from, u64 n)
{
	const struct tally *ta = &t->out.tally[from];

	return ta->frames == n && !ta->repeated && !t->out.stray;
}

static void check_flows(struct test *t)
{
	unsigned int n = ring_room(t->sc.len);
	unsigned int sent = sender_send_many(&t->qdisc, n);
	unsigned int got = take(t, n);

	ktap_ok(sent == n && got == n, "fresh frames flow: %u of %u", got, n);
}

static void test_waits(struct test *t)
{
	unsigned int len = t->sc.len, all = len + EXTRA, sent, got;
	struct netdev_stats dev;
	struct listener tap;
	struct tally seen;
	u64 lost, drops;

	ktap_plan(9);
	lost = xdp_send(t, len);
	sent = sender_send_many(&t->qdisc, EXTRA);
	netdev_stats(t->b.dev, &dev);
	ktap_ok(!lost && sent == EXTRA && !drops_count() && !dev.tx_dropped,
		"none is dropped: %u accepted, %llu FULL_RING, %llu counted",
		sent, drops_count(), dev.tx_dropped);
	ktap_ok(held(t) == EXTRA, "they wait in the qdisc: %llu of %d", held(t),
		EXTRA);
	lost = xdp_send(t, EXTRA);
	ktap_ok(lost == EXTRA, "XDP frames are dropped all the same: %llu of %d",
		lost, EXTRA);
	/* What was dropped, right or wrong, nobody need wait for. */
	got = take(t, all - (unsigned int)drops_count());
	ktap_ok(got == all, "the reader gets all that waits: %u of %u", got, all);
	ktap_ok(once_in_order(t, FROM_XDP, len) && !t->xdp_after &&
		once_in_order(t, FROM_QDISC, EXTRA),
		"each of them once, those of the qdisc last: %llu and %llu, %llu late",
		t->out.tally[FROM_XDP].frames, t->out.tally[FROM_QDISC].frames,
		t->xdp_after);
	check_flows(t);

	/* Now it is the qdisc's frames that fill it, and stop the queue. */
	drops = drops_count();
	sent = sender_send_many(&t->qdisc, all);
	listener_open(&tap, t->b.dev, true);
	tally_start(&seen, true, t->b.cookie);
	lost = xdp_send(t, EXTRA);
	listener_collect(&tap, &seen);
	listener_close(&tap);
	drops = drops_count() - drops;
	ktap_ok(sent == all && lost == EXTRA && !drops,
		"a stopped queue keeps its own, XDP loses: %u sent, %llu and %llu dropped",
		sent, lost, drops);
	ktap_ok(!seen.frames, "nor does XDP have it try again: %llu times",
		seen.frames);
	got = take(t, all - (unsigned int)drops);
	ktap_ok(got == all, "and the reader gets them: %u of %u", got, all);
}

static void test_refused(struct test *t)
{
	unsigned int len = t->sc.len, got;
	struct netdev_stats dev;
	enum send_result res;
	struct sender s;

	ktap_plan(4);
	xdp_send(t, len);
	bench_sender(&t->b, &t->sc, &s, true);
	s.frame.port = FLOWS_PORT + FROM_BYPASS;
	res = sender_send(&s);
	netdev_stats(t->b.dev, &dev);
	ktap_ok(res == SEND_NOBUFS, "past the qdisc it is refused");
	ktap_ok(!drops_count() && !dev.tx_dropped,
		"and not dropped: %llu FULL_RING, %llu counted", drops_count(),
		dev.tx_dropped);
	got = take(t, len);
	ktap_ok(got == len && once_in_order(t, FROM_XDP, len),
		"the reader gets what there is: %u of %u", got, len);
	sender_close(&s);
	check_flows(t);
}

/*
 * A filter makes the sender slow between its look at the ring and its slot,
 * which an XDP frame must not get meanwhile. It sends one more than fit between
 * two reads: the last slot is what they are after.
 */
static void test_beside(struct test *t)
{
	const struct tally *own = &t->out.tally[FROM_QDISC];
	struct stall st;
	u64 sent;

	ktap_plan(3);
	bpf_slow_filter(t->b.fd[0]);
	intake_open(&t->in, t->b.fd[0], false, got_frame, t);
	stall_start(&st, t->sc.stall_ms);
	do {
		crew_start(&t->xdp, BESIDE);
		while (crew_working(&t->xdp)) {
			sender_send_many(&t->qdisc, t->sc.len + 1);
			intake_some(&t->in, 0);
		}
		crew_end(&t->xdp);
		sent = t->qdisc.count[SEND_OK];
	} while (sent < OWN_LEAST && !stall_over(&st));
	stall_start(&st, t->sc.stall_ms);
	while (own->frames + drops_count() < sent && !stall_over(&st)) {
		intake_some(&t->in, stall_left_ms(&st));
		stall_note(&st, own->frames);
	}
	intake_close(&t->in);
	ktap_ok(!drops_count(), "of the qdisc's frames none is dropped: %llu of %llu",
		drops_count(), sent);
	ktap_ok(own->frames == sent && !own->missing && !own->repeated,
		"all of them come out, in order: %llu of %llu", own->frames,
		sent);
	check_flows(t);
}

/* Send one frame: how many a packet tap sees of it, which a stopped queue keeps. */
static unsigned int to_driver(struct test *t)
{
	struct listener tap;
	struct tally seen;

	listener_open(&tap, t->b.dev, true);
	tally_start(&seen, true, t->b.cookie);
	seen.next = t->qdisc.frame.seq;
	sender_send(&t->qdisc);
	listener_collect(&tap, &seen);
	listener_close(&tap);
	return (unsigned int)(seen.frames + seen.repeated);
}

/* vhost gets one XDP frame, and with it all others of the ring. */
static bool vhost_holds(struct test *t, struct vhost *v)
{
	u64 before = t->out.frames;
	struct stall st;

	vhost_attach(v, t->b.fd[0]);
	vhost_offer(v, 1);
	stall_start(&st, t->sc.stall_ms);
	do {
		vhost_wait(v, stall_left_ms(&st));
		vhost_collect(v, got_frame, t);
	} while (t->out.frames == before && !stall_over(&st));
	return t->out.frames == before + 1;
}

static void test_destroyed(struct test *t)
{
	unsigned int len = t->sc.len, got;
	struct vhost *v = vhost_open();
	u64 lost;

	ktap_plan(5);
	lost = xdp_send(t, len);
	ktap_ok(!lost && vhost_holds(t, v), "vhost gets one of %u XDP frames", len);
	lost = xdp_send(t, len);
	ktap_ok(!lost, "there is room for as many again: %llu lost", lost);
	/* What it held finds no slot. */
	vhost_detach(v);
	vhost_close(v);
	got = take(t, len);
	ktap_ok(got == len, "given back, it takes nobody's place: %u of %u", got,
		len);
	xdp_send(t, len);
	netdev_txqueuelen(t->b.dev, len / 2);
	got = take(t, len / 2);
	ktap_ok(got == len / 2, "a shorter ring keeps what it can: %u of %u", got,
		len / 2);
	netdev_txqueuelen(t->b.dev, len);
	check_flows(t);
	/* And a ring that goes with its file. */
	xdp_send(t, len);
}

/* What of one bulk is counted as dropped. */
static u64 bulk(struct test *t, int prog)
{
	struct netdev_stats before, after;
	char buf[FRAME_MAX];
	size_t len = xdp_frame(t, t->qdisc.frame.seq, buf);

	netdev_stats(t->b.dev, &before);
	bpf_xdp_run(prog, buf, len, BPF_BULK);
	netdev_stats(t->b.dev, &after);
	return after.tx_dropped - before.tx_dropped;
}

static void test_bulk(struct test *t)
{
	unsigned int len = t->sc.len, want = min(len, BPF_BULK), got;
	int prog = bpf_redirect_to(t->b.dev);
	u64 lost = bulk(t, prog);

	ktap_plan(5);
	ktap_ok(lost == (len < BPF_BULK), "of %u frames %u fit: %llu counted", BPF_BULK,
		want, lost);
	got = take(t, want);
	ktap_ok(got == want, "and come out: %u of %u", got, want);
	xdp_send(t, len);
	lost = bulk(t, prog);
	ktap_ok(lost == 1, "of %u frames none fits: %llu counted", BPF_BULK, lost);
	got = take(t, len);
	ktap_ok(got == len, "and what was there comes out: %u of %u", got, len);
	close(prog);
	check_flows(t);
}

static void test_runs(struct test *t)
{
	bool holds = qdisc_holds(t->sc.qdisc);
	unsigned int len = t->sc.len, want = len, got;
	enum send_result res;
	u64 lost, drops;

	ktap_plan(7);
	lost = len > 1 ? xdp_send(t, len - 1) : 0;
	res = sender_send(&t->qdisc);
	ktap_ok(!lost && res == SEND_OK && !held(t),
		"with one slot left a frame goes in: %llu held", held(t));
	lost = xdp_send(t, EXTRA);
	ktap_ok(lost == EXTRA, "XDP frames beyond are counted: %llu of %d", lost,
		EXTRA);
	got = take(t, len);
	ktap_ok(got == len, "the reader gets them: %u of %u", got, len);
	lost = xdp_send(t, len + EXTRA);
	drops = drops_count();
	ktap_ok(lost == EXTRA, "XDP frames over a full ring are dropped: %llu of %d",
		lost, EXTRA);
	if (holds) {
		got = to_driver(t);
		want += (unsigned int)held(t);
		ktap_ok(got == 1, "a frame of the qdisc still goes to the driver: %u",
			got);
	} else {
		res = sender_send(&t->qdisc);
		ktap_ok(res == SEND_NOBUFS && drops_count() == drops + 1,
			"so is a frame under noqueue");
	}
	got = take(t, want);
	ktap_ok(got == want, "the reader gets the rest: %u of %u", got, want);
	/* Nothing but XDP frames came since: who would have stopped it? */
	check_flows(t);
}

int main(int argc, char **argv)
{
	struct test t = {};
	const struct scenario_option extra[] = {
		{ "back", &t.back, "1: XDP frames are written, and sent back" },
	};
	int prog = -1;
	enum part part = (enum part)choice_take(&argc, argv, "part", parts, 0);

	scenario_parse(&t.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.sc);
	if (t.sc.dev != DEV_TAP || !t.sc.len ||
	    (part < PART_RUNS && !qdisc_holds(t.sc.qdisc)))
		ktap_bail("a tap with a ring, and a qdisc for something to wait in");
	if (part == PART_DESTROYED && (t.sc.len < 2 || t.sc.len > VHOST_BATCH))
		ktap_bail("vhost holds 1 to %d frames", VHOST_BATCH - 1);
	netns_enter();
	drops_start("FULL_RING");
	bench_open(&t.b, &t.sc, "kst0");
	crew_open(&t.xdp, PRODUCER_XDP, 1, &t.sc, &t.b);
	bench_sender(&t.b, &t.sc, &t.qdisc, false);
	t.qdisc.frame.port = FLOWS_PORT + FROM_QDISC;
	flows_start(&t.out, FLOWS, true, t.b.cookie);
	if (t.back) {
		prog = bpf_send_back();
		bpf_xdp_attach(t.b.dev, prog);
	}
	if (part == PART_WAITS)
		test_waits(&t);
	else if (part == PART_REFUSED)
		test_refused(&t);
	else if (part == PART_BESIDE)
		test_beside(&t);
	else if (part == PART_RUNS)
		test_runs(&t);
	else if (part == PART_BULK)
		test_bulk(&t);
	else
		test_destroyed(&t);
	if (t.back)
		close(prog);
	sender_close(&t.qdisc);
	crew_close(&t.xdp);
	bench_close(&t.b);
	drops_stop();
	return ktap_status();
}
