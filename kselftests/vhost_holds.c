// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens meanwhile to the frames that vhost-net holds.
 *
 *   up        the device is down while they are given back, and comes up again
 *   zero      the ring has length 0 when they are given back: they are freed
 *   same      vhost is given the backend that it has, and one that is no socket
 *   long      one is longer than any buffer: it is thrown away, and no other
 *   busy      vhost polls, for what the guest sends and for what it receives
 *   gone      the device is deleted, and the guest has buffers for them; a
 *             macvtap's file goes on without it, and they are its
 *   detached  the queue was detached when vhost came, and is attached then
 *   tagged    they have a VLAN tag, which the kernel keeps beside the frame
 *   grown     the ring had length 0 when vhost came
 *   bad       a buffer is one that vhost gives up on, and the ring full again
 *   disabled  the queue of a macvtap is detached, which keeps its frames
 *   down      a macvtap with frames in its ring goes down
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "choice.h"
#include "drops.h"
#include "held.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "ring.h"
#include "stall.h"

enum part {
	PART_UP, PART_ZERO, PART_SAME, PART_LONG, PART_BUSY, PART_GONE,
	PART_DETACHED, PART_TAGGED, PART_GROWN, PART_BAD, PART_DISABLED,
	PART_DOWN,
};

static const char * const parts[] = {
	"up", "zero", "same", "long", "busy", "gone", "detached", "tagged",
	"grown", "bad", "disabled", "down", NULL,
};

/* In bytes: the test's frames fit into such a buffer, with a tail they do not. */
#define BUFFER 60
#define TAIL 60
/* How long vhost polls. */
#define BUSY_US 20000
#define VLAN 5
#define BRIDGE "holds-br"
#define NEAR "holds-near"
#define FAR "holds-far"

static void all_came(const struct run *x, u64 n)
{
	u64 freed = drops_count();
	struct netdev_stats dev = { .tx_packets = n };

	/* A macvtap counts what comes in from below. */
	if (scenario_owns_queue(&x->sc))
		netdev_stats(x->b.dev, &dev);
	ktap_ok(tally_exact(&x->out, n) && !freed && dev.tx_packets == n,
		"all come out, once and in order: %llu of %llu, %llu missing, %llu repeated, %llu foreign, %llu freed, counted as %llu",
		x->out.frames, n, x->out.missing, x->out.repeated,
		x->out.foreign, freed, dev.tx_packets);
}

/* Frames reach a plain reader. */
static void check_fresh(struct run *x, unsigned int n)
{
	unsigned int got;

	run_send(x, n);
	got = reader_take(&x->r, n);
	ktap_ok(got == n, "fresh frames come out: %u of %u", got, n);
}

/* From vhost, and then from a plain reader. */
static void check_flows(struct held *h)
{
	unsigned int got, room = ring_room(h->x.sc.len);

	got = held_flow(h, 3);
	ktap_ok(got == 3 * room, "vhost gets what is sent: %u of %u", got, 3 * room);
	vhost_detach(h->vhost.vhost);
	check_fresh(&h->x, room);
	all_came(&h->x, 4 * room);
}

/* Sent while vhost holds a ring's frames: there is room for as many again. */
static void refill(struct run *x)
{
	u64 before = x->s.count[SEND_OK];

	run_send(x, x->sc.len);
	if (x->s.count[SEND_OK] - before != x->sc.len)
		ktap_bail("the ring that vhost emptied does not take its length");
}

static void check_up(struct held *h)
{
	unsigned int got, want = h->x.sc.len - 1, room = ring_room(h->x.sc.len);

	held_fill(h);
	netdev_up(h->x.b.dev, false);
	vhost_detach(h->vhost.vhost);
	netdev_up(h->x.b.dev, true);
	got = reader_take(&h->x.r, want);
	ktap_ok(got == want, "a plain reader gets what vhost held: %u of %u",
		got, want);
	check_fresh(&h->x, room);
	all_came(&h->x, 1 + want + room);
}

static void check_zero(struct held *h)
{
	unsigned int len = h->x.sc.len, room = ring_room(len);
	u64 freed;

	held_fill(h);
	netdev_txqueuelen(h->x.b.dev, 0);
	freed = drops_count();
	ktap_ok(!freed, "what vhost holds is not the ring's: %llu freed", freed);
	vhost_detach(h->vhost.vhost);
	freed = drops_count();
	ktap_ok(freed == len - 1, "given back to no ring it is freed: %llu of %u",
		freed, len - 1);
	netdev_txqueuelen(h->x.b.dev, len);
	check_fresh(&h->x, room);
}

static void check_same(struct held *h)
{
	unsigned int got, want;
	int same, none, end[2];
	char buf[8];

	if (pipe2(end, O_NONBLOCK | O_CLOEXEC))
		ktap_bail("pipe: %s", strerror(errno));
	held_fill(h);
	refill(&h->x);
	same = vhost_try_attach(h->vhost.vhost, h->x.b.fd[0]);
	none = vhost_try_attach(h->vhost.vhost, end[1]);
	ktap_ok(!same && none == ENOTSOCK,
		"the same backend is taken, what is no socket is not: %s, %s",
		strerror(same), strerror(none));
	want = 2 * h->x.sc.len - 1;
	got = reader_take(&h->vhost, want);
	ktap_ok(got == want, "vhost gets what it held, and the ring's: %u of %u",
		got, want);
	all_came(&h->x, 1 + want);
	close(end[1]);
	ktap_ok(!read(end[0], buf, sizeof(buf)),
		"nor is it kept: a pipe has come to its end");
	close(end[0]);
}

/* Two before it in the same turn, and those after it. */
static void check_long(struct held *h)
{
	unsigned int got, room = ring_room(h->x.sc.len);
	struct run *x = &h->x;

	vhost_close(h->vhost.vhost);
	h->vhost.vhost = vhost_open_size(BUFFER);
	run_send(x, 2);
	x->s.frame.tail = TAIL;
	run_send(x, 1);
	x->s.frame.tail = 0;
	run_send(x, 1);
	reader_start(&h->vhost);
	got = reader_take(&h->vhost, 3);
	ktap_ok(got == 3, "vhost gets those that fit: %u of 3", got);
	got = held_flow(h, 3);
	ktap_ok(got == 3 * room, "and what is sent then: %u of %u", got, 3 * room);
	ktap_ok(x->out.frames == 3 + 3 * room && x->out.missing == 1 &&
		!x->out.repeated && !x->out.foreign,
		"the one that is too long is missing, and no other: %llu missing, %llu repeated, %llu foreign",
		x->out.missing, x->out.repeated, x->out.foreign);
}

/*
 * The longest of some polls, in us, until one is half as long as it may be: the
 * others were ended by a thread that wanted their CPU.
 */
static u64 longest_poll(struct vhost *v, unsigned int stall_ms)
{
	u64 since, us, most = 0;
	struct stall st;

	stall_start(&st, stall_ms);
	while (most < BUSY_US / 2 && !stall_over(&st)) {
		since = stall_now_ns();
		vhost_send(v, stall_ms);
		us = (stall_now_ns() - since) / 1000;
		if (us > most)
			most = us;
	}
	return most;
}

static void check_busy(struct held *h)
{
	unsigned int len = h->x.sc.len, room = ring_room(len), got, want;
	unsigned int stall_ms = h->x.sc.stall_ms;
	struct vhost *v = h->vhost.vhost;
	u64 us;

	held_fill(h);
	vhost_busy_poll(v, BUSY_US);
	vhost_attach_tx(v, h->x.b.fd[0]);
	ktap_ok(vhost_send(v, stall_ms) && vhost_send(v, stall_ms),
		"vhost sends for the guest, and looks for more");
	got = reader_take(&h->vhost, len - 1);
	ktap_ok(got == len - 1, "vhost gets what it held: %u of %u", got, len - 1);
	/* Detached: while it polls it takes the first ones before the last is sent. */
	vhost_detach(v);
	held_fill(h);
	refill(&h->x);
	vhost_send(v, stall_ms);
	want = 2 * len;
	got = 1 + reader_take(&h->vhost, want - 1);
	ktap_ok(got == want, "what it holds, and the ring's: %u of %u", got, want);
	got = held_flow(h, 3);
	ktap_ok(got == 3 * room, "and what is sent then: %u of %u", got, 3 * room);
	all_came(&h->x, len + want + 3 * room);
	vhost_offer(v, 1);
	/* A macvtap's own frames end it, when they are freed. */
	if (scenario_owns_queue(&h->x.sc)) {
		us = longest_poll(v, stall_ms);
		ktap_ok(us >= BUSY_US / 2, "it polls for as long as it is to: %llu us",
			us);
	} else {
		ktap_skip("not of a macvtap", "it polls for as long as it is to");
	}
	vhost_attach_tx(v, -1);
}

static void check_gone(struct held *h)
{
	unsigned int left = h->x.sc.len - 1;
	u64 freed, before;
	struct stall st;
	char buf[8];

	held_fill(h);
	before = drops_count();
	netdev_delete(h->x.b.dev);
	vhost_offer(h->vhost.vhost, left);
	stall_start(&st, h->x.sc.stall_ms);
	do {
		stall_breathe();
		freed = drops_count() - before;
	} while (freed < left && !stall_over(&st));
	ktap_ok(freed == left, "vhost cannot deliver them, and frees them: %llu of %u",
		freed, left);
	ktap_ok(!vhost_try_attach(h->vhost.vhost, -1), "vhost lets go");
	freed = drops_count() - before;
	ktap_ok(freed == left && read(h->x.b.fd[0], buf, sizeof(buf)) < 0 &&
		errno == EBADFD,
		"there is nothing more to be freed, or to be read: %llu", freed);
}

/* A full ring is read, whatever became of its device since. */
static void check_emptied(struct held *h)
{
	unsigned int got, len = h->x.sc.len;

	reader_start(&h->vhost);
	got = reader_take(&h->vhost, len);
	ktap_ok(got == len, "vhost gets what is in the ring: %u of %u", got, len);
	vhost_offer(h->vhost.vhost, 1);
	ktap_ok(vhost_sleeps(h->x.sc.stall_ms), "then it has nothing to do");
	all_came(&h->x, len);
}

static void check_gone_tap(struct held *h)
{
	run_send(&h->x, h->x.sc.len);
	netdev_delete(h->x.b.dev);
	check_emptied(h);
}

static void check_down(struct held *h)
{
	run_send(&h->x, h->x.sc.len);
	netdev_up(h->x.b.dev, false);
	check_emptied(h);
	netdev_up(h->x.b.dev, true);
}

static void check_bad(struct held *h)
{
	unsigned int got, want = 2 * h->x.sc.len - 1;

	held_fill(h);
	refill(&h->x);
	vhost_offer_bad(h->vhost.vhost);
	ktap_ok(vhost_sleeps(h->x.sc.stall_ms), "vhost gives up on a bad buffer");
	vhost_kick(h->vhost.vhost);
	got = reader_take(&h->vhost, want);
	ktap_ok(got == want, "with good ones it gets what it held, and the ring's: %u of %u",
		got, want);
	all_came(&h->x, 1 + want);
}

static void check_disabled(struct held *h)
{
	unsigned int got, len = h->x.sc.len;

	run_send(&h->x, len);
	tuntap_queue(h->x.b.fd[0], false);
	reader_start(&h->vhost);
	got = reader_take(&h->vhost, len / 2);
	vhost_detach(h->vhost.vhost);
	got += reader_take(&h->x.r, len - len / 2);
	ktap_ok(got == len, "vhost and a plain reader get its frames: %u of %u",
		got, len);
	vhost_attach(h->vhost.vhost, h->x.b.fd[0]);
	vhost_offer(h->vhost.vhost, 1);
	ktap_ok(vhost_sleeps(h->x.sc.stall_ms), "then vhost has nothing to do");
	all_came(&h->x, len);
}

static void check_detached(struct held *h)
{
	int fd = h->x.b.fd[0];

	tuntap_queue(fd, false);
	reader_start(&h->vhost);
	tuntap_queue(fd, true);
	check_flows(h);
}

/* What a bridge forwards has come in, and that is where tags are taken off. */
static void send_by_bridge(struct run *x)
{
	struct frame frame = x->s.frame;

	netdev_veth(NEAR, FAR);
	netdev_bridge(BRIDGE);
	netdev_enslave(NEAR, BRIDGE);
	netdev_enslave(x->b.dev, BRIDGE);
	netdev_up(NEAR, true);
	netdev_up(FAR, true);
	netdev_up(BRIDGE, true);
	probe_must_run(FAR, true, x->sc.stall_ms);
	sender_close(&x->s);
	sender_open(&x->s, FAR, true, false, x->b.cookie);
	x->s.frame = frame;
}

static void check_tagged(struct held *h)
{
	if (scenario_owns_queue(&h->x.sc))
		send_by_bridge(&h->x);
	h->x.s.frame.vlan = VLAN;
	h->x.out.vlan = VLAN;
	reader_start(&h->vhost);
	check_flows(h);
}

static void check_grown(struct held *h)
{
	netdev_txqueuelen(h->x.b.dev, 0);
	reader_start(&h->vhost);
	netdev_txqueuelen(h->x.b.dev, h->x.sc.len);
	check_flows(h);
}

static void run_part(struct held *h, enum part part)
{
	static void (* const checks[])(struct held *h) = {
		[PART_UP] = check_up, [PART_ZERO] = check_zero,
		[PART_SAME] = check_same, [PART_LONG] = check_long,
		[PART_BUSY] = check_busy, [PART_GONE] = check_gone,
		[PART_DETACHED] = check_detached, [PART_TAGGED] = check_tagged,
		[PART_GROWN] = check_grown, [PART_BAD] = check_bad,
		[PART_DISABLED] = check_disabled, [PART_DOWN] = check_down,
	};

	ktap_plan(part == PART_BUSY ? 6 : part == PART_SAME ? 4 : 3);
	if (part == PART_GONE && !scenario_owns_queue(&h->x.sc))
		check_gone_tap(h);
	else
		checks[part](h);
}

int main(int argc, char **argv)
{
	struct held h = {};
	struct scenario *sc = &h.x.sc;
	enum part part = (enum part)choice_take(&argc, argv, "part", parts,
						PART_UP);

	scenario_defaults(sc);
	sc->len = 16;
	scenario_options(sc, argc, argv, NULL, 0);
	scenario_need_one_queue(sc);
	if (sc->len < 4 || sc->len > VHOST_BATCH)
		ktap_bail("vhost_holds takes a length of 4 to %d", VHOST_BATCH);
	if (part == PART_TAGGED && sc->dev != DEV_TAP && sc->dev != DEV_MACVTAP)
		ktap_bail("tagged: tap or macvtap");
	sc->own_protocol = true;
	if ((part == PART_DISABLED || part == PART_DOWN) &&
	    scenario_owns_queue(sc))
		ktap_bail("disabled, down: macvtap or ipvtap");
	sc->multi_queue = part == PART_DETACHED || part == PART_DISABLED;
	netns_enter();
	bench_count_freed(sc);
	held_open(&h, "holds0");
	run_part(&h, part);
	held_close(&h);
	drops_stop();
	return ktap_status();
}
