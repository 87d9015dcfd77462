// SPDX-License-Identifier: GPL-2.0-only
/*
 * The qdisc is changed for another one while the ring is full.
 *
 * To one that holds frames: the core throws away what the old one held. What is
 * sent then waits in the new one, and comes out when the ring is read. To
 * noqueue, which has no place for frames: with the queue stopped they are
 * refused with ENETDOWN (--kernel patched), until the reader has made room, or
 * with --room grow a longer ring has; stock never stops it, and the driver drops
 * them (--kernel stock). From then on a full ring drops in both. Of vhost-net,
 * which reads a batch at a time, only that it makes room is looked at.
 */
#include <errno.h>
#include <string.h>

#include "choice.h"
#include "drops.h"
#include "kmsg.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"

#define DEV "change0"
#define COMPLAINT "Virtual device " DEV " asks to queue packet"

#define EXTRA 20
/* Frames sent right after the change, at most. */
#define AFTER 10U
#define ROUNDS 3

enum kernel { KERNEL_STOCK, KERNEL_PATCHED };

static const char * const kernels[] = { "stock", "patched", NULL };

enum room { ROOM_READ, ROOM_GROW };

static const char * const rooms[] = { "read", "grow", NULL };

struct change {
	struct run run;
	const char *from;
	const char *to;
	enum kernel kernel;
	enum room room;
	struct kmsg kmsg;
	struct listener l;
	struct tally tap;	/* at the packet tap */
	u64 waited;		/* in the old qdisc */
	u64 discarded;		/* with it */
	u64 lost;		/* numbers that nobody will see */
};

static void fill(struct change *ch)
{
	struct run *x = &ch->run;

	run_send(x, x->sc.len + EXTRA);
	ch->waited = run_backlog(x);
	/* Of the same kind, the qdisc is but configured anew. */
	if (strcmp(ch->from, ch->to))
		ch->discarded = ch->waited;
	ch->lost = ch->discarded;
	/* A drop behind a qdisc is not the sender's to know. */
	if (qdisc_holds(ch->from))
		ch->lost += drops_count();
}

static void change(struct change *ch)
{
	struct run *x = &ch->run;
	u64 left = ch->waited - ch->discarded, backlog;

	qdisc_replace_any(x->b.dev, ch->to);
	x->sc.qdisc = ch->to;
	backlog = run_backlog(x);
	ktap_ok(backlog == left,
		"%s to %s leaves %llu of %llu frames: %llu", ch->from, ch->to,
		left, ch->waited, backlog);
}

static void flow_again(struct change *ch)
{
	unsigned int i, want, got, room = ring_room(ch->run.sc.len);
	bool flows = true;

	reader_start(&ch->run.r);
	for (i = 0; i < ROUNDS && flows; i++) {
		want = sender_send_many(&ch->run.s, room);
		got = reader_take(&ch->run.r, want);
		flows = want == room && got == want;
		if (!flows)
			ktap_diag("stalled: %u of %u sent, %u came out, queue %s",
				  want, room, got,
				  probe_name(probe_queue(&ch->run.b,
							 &ch->run.sc)));
	}
	ktap_ok(flows, "fresh frames flow");
}

static void drained(struct change *ch, u64 want)
{
	const struct tally *t = &ch->run.out;
	u64 got = reader_take(&ch->run.r, (unsigned int)want);

	got += reader_rest(&ch->run.r);
	ktap_ok(got == want, "the reader gets all that waits: %llu of %llu%s",
		got, want, got < want ? ": stalled" : "");
	ktap_ok(t->missing == ch->lost && !t->repeated && !t->foreign,
		"in order, but for what the change cost: %llu missing, not %llu, %llu repeated, %llu foreign",
		t->missing, ch->lost, t->repeated, t->foreign);
}

static void to_holding(struct change *ch)
{
	struct run *x = &ch->run;
	u64 before, drops, backlog;
	unsigned int took;

	ktap_plan(8);
	fill(ch);
	ktap_ok(!qdisc_holds(ch->from) || !drops_count(),
		"the old qdisc holds what the ring cannot: %llu dropped",
		drops_count());
	change(ch);
	listener_open(&ch->l, DEV, scenario_ether(&x->sc));
	tally_start(&ch->tap, scenario_ether(&x->sc), x->b.cookie);
	before = drops_count();
	took = sender_send_many(&x->s, min(x->sc.len, AFTER));
	drops = drops_count() - before;
	backlog = run_backlog(x);
	ktap_ok(!drops && backlog == ch->waited - ch->discarded + took,
		"what is sent then waits: %u of %llu, %llu dropped", took,
		backlog, drops);
	drained(ch, x->sc.len + backlog);
	flow_again(ch);
	drops = drops_count() - before;
	ktap_ok(!drops, "no FULL_RING drop since the change: %llu", drops);
	listener_collect(&ch->l, &ch->tap);
	listener_close(&ch->l);
	/* That noqueue left the ring full is found out by the next frame. */
	ktap_ok(ch->tap.repeated <= !qdisc_holds(ch->from),
		"a packet tap sees no frame twice but the one that stops the queue: %llu",
		ch->tap.repeated);
}

/* Over a full ring, each of @n is refused, in the way of this kernel. */
static bool refuses(struct change *ch, unsigned int n)
{
	struct sender *s = &ch->run.s;
	u64 down = s->count[SEND_NETDOWN], full = s->count[SEND_NOBUFS];
	u64 drops = drops_count(), said = kmsg_count(&ch->kmsg);
	bool stock = ch->kernel == KERNEL_STOCK, as_it_should;
	unsigned int took = sender_send_many(s, n);

	down = s->count[SEND_NETDOWN] - down;
	full = s->count[SEND_NOBUFS] - full;
	drops = drops_count() - drops;
	said = kmsg_count(&ch->kmsg) - said;
	as_it_should = !took && down == (stock ? 0 : n) &&
		       full == (stock ? n : 0) && drops == full && said == down;
	if (!as_it_should)
		ktap_diag("of %u: %u taken, %llu ENETDOWN, %llu ENOBUFS, %llu dropped, %llu lines",
			  n, took, down, full, drops, said);
	return as_it_should;
}

/* Of more frames than there is room for, those that fit are taken: as stock. */
static bool takes(struct change *ch, unsigned int least, unsigned int most)
{
	struct sender *s = &ch->run.s;
	u64 full = s->count[SEND_NOBUFS], drops = drops_count();
	u64 down = s->count[SEND_NETDOWN], said = kmsg_count(&ch->kmsg);
	unsigned int took = sender_send_many(s, most + EXTRA);

	full = s->count[SEND_NOBUFS] - full;
	drops = drops_count() - drops;
	down = s->count[SEND_NETDOWN] - down;
	said = kmsg_count(&ch->kmsg) - said;
	if (took >= least && took <= most && full == most + EXTRA - took &&
	    drops == full && !down && !said)
		return true;
	ktap_diag("%u taken, not %u to %u, %llu ENOBUFS, %llu dropped, %llu ENETDOWN, %llu lines",
		  took, least, most, full, drops, down, said);
	return false;
}

/* Nobody reads: the new ring is twice as long, and has the frames of the old. */
static void grows(struct change *ch)
{
	unsigned int more = ch->run.sc.len;

	ktap_ok(refuses(ch, 3), "over a full ring %s",
		ch->kernel == KERNEL_STOCK ? "dropped" : "ENETDOWN");
	ch->run.sc.len += more;
	netdev_txqueuelen(DEV, ch->run.sc.len);
	ktap_ok(takes(ch, more, more),
		"%u slots more, %u frames taken, the rest dropped", more, more);
}

/* vhost-net reads a batch at a time: what is taken meanwhile cannot be told. */
static void is_read_by_vhost(struct change *ch)
{
	ktap_ok(refuses(ch, 3), "%s over a full ring",
		ch->kernel == KERNEL_STOCK ? "dropped" : "ENETDOWN");
	ktap_skip("vhost-net reads a batch", "slots read, frames taken");
	/* No frame comes behind those that the change has cost. */
	ch->lost = 0;
	reader_start(&ch->run.r);
}

static void is_read(struct change *ch)
{
	unsigned int batch = ring_batch(ch->run.sc.len), i;
	bool refused = refuses(ch, 3);

	for (i = 1; i < batch && refused; i++)
		refused = reader_take(&ch->run.r, 1) == 1 && refuses(ch, 1);
	ktap_ok(refused, "%s over a full ring", ch->kernel == KERNEL_STOCK ?
		"dropped" : "ENETDOWN, and a complaint in the log,");
	reader_take(&ch->run.r, batch - (i - 1));
	ktap_ok(takes(ch, batch, batch),
		"%u slots read, %u frames taken, the rest dropped", batch,
		batch);
}

static void to_noqueue(struct change *ch)
{
	unsigned int len;
	u64 before;

	ktap_plan(7);
	fill(ch);
	change(ch);
	if (ch->room == ROOM_GROW)
		grows(ch);
	else if (ch->run.sc.reader == READER_VHOST)
		is_read_by_vhost(ch);
	else
		is_read(ch);
	len = ch->run.sc.len;
	drained(ch, len);
	before = ch->run.out.frames;
	ktap_ok(takes(ch, ring_room(len), len),
		"the ring takes what it holds, the rest is dropped");
	reader_rest(&ch->run.r);
	ktap_diag("%llu came out then", ch->run.out.frames - before);
	flow_again(ch);
}

int main(int argc, char **argv)
{
	struct change ch = {
		.to = qdisc_kinds[choice_take(&argc, argv, "to", qdisc_kinds, 0)],
		.kernel = (enum kernel)choice_take(&argc, argv, "kernel",
						   kernels, KERNEL_PATCHED),
		.room = (enum room)choice_take(&argc, argv, "room", rooms,
					       ROOM_READ),
	};
	struct scenario *sc = &ch.run.sc;

	scenario_parse(sc, argc, argv, NULL, 0);
	scenario_need_one_queue(sc);
	ch.from = sc->qdisc;
	if (!scenario_owns_queue(sc) || !sc->len)
		ktap_bail("qdisc_change takes tun or tap, a length above 0");
	if (sc->reader == READER_VHOST && (qdisc_holds(ch.to) || ch.room == ROOM_GROW))
		ktap_bail("--reader vhost takes --to noqueue and --room read");
	if (!qdisc_holds(ch.from) && !qdisc_holds(ch.to))
		ktap_bail("from noqueue to noqueue nothing changes");
	if (ch.room == ROOM_GROW && qdisc_holds(ch.to))
		ktap_bail("room is made by a read, but for noqueue");
	sc->multi_queue = !strcmp(ch.to, "mq");
	kmsg_open(&ch.kmsg, COMPLAINT);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&ch.run, DEV);
	if (sc->reader != READER_VHOST)
		reader_start(&ch.run.r);
	if (qdisc_holds(ch.to))
		to_holding(&ch);
	else
		to_noqueue(&ch);
	run_close(&ch.run);
	drops_stop();
	kmsg_close(&ch.kmsg);
	return ktap_status();
}
