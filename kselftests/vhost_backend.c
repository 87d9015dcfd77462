// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend of a vhost-net that holds frames of it.
 *
 *   refused  vhost is given a file that is no device's, and refuses it: all
 *            goes on with the device that it has
 *   deleted  the device is deleted: what vhost then gives back is nobody's
 *   down     it lets go of a device that is down, which is deleted then
 *   noqueue  it lets go of a device whose queue is stopped, and that has noqueue
 *            by then: what it gives back makes room, and frames are taken
 *   tx       where the guest's own frames go is another device, then none: what
 *            it receives still comes from the first
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
#include "qdisc.h"
#include "ring.h"
#include "stall.h"

enum part { PART_REFUSED, PART_DELETED, PART_DOWN, PART_NOQUEUE, PART_TX };

static const char * const parts[] = {
	"refused", "deleted", "down", "noqueue", "tx", NULL,
};

/* Some are read before, so that giving back three clears slots as well. */
#define READ_BEFORE 5U
#define OFFERED (VHOST_BATCH - 3U)
#define LEAST (READ_BEFORE + VHOST_BATCH)
/* Enough to fill the ring again whenever it has room. */
#define WAITING 300U

struct test {
	struct held h;
	struct run other;
};

static void check_refused(struct test *t)
{
	struct run *x = &t->h.x;
	unsigned int n, got, room = ring_room(x->sc.len), want;
	int bare = open("/dev/net/tun", O_RDWR | O_CLOEXEC), err;

	ktap_plan(4);
	if (bare < 0)
		ktap_bail("/dev/net/tun: %s", strerror(errno));
	held_fill(&t->h);
	err = vhost_try_attach(t->h.vhost.vhost, bare);
	ktap_ok(err == EINVAL, "a file without a device is refused: %s",
		strerror(err));
	want = x->sc.len - 1;
	got = reader_take(&t->h.vhost, want);
	ktap_ok(got == want, "vhost gets what it held: %u of %u", got, want);
	n = held_flow(&t->h, 3);
	ktap_ok(n == 3 * room, "and what is sent then: %u of %u", n, 3 * room);
	ktap_ok(tally_exact(&x->out, x->sc.len + 3 * room),
		"once and in order: %llu missing, %llu repeated, %llu foreign",
		x->out.missing, x->out.repeated, x->out.foreign);
	close(bare);
}

static void let_go(struct test *t)
{
	ktap_ok(!vhost_try_attach(t->h.vhost.vhost, -1), "vhost lets go");
}

static void check_deleted(struct test *t, bool down)
{
	struct run *x = &t->h.x;
	/* A macvtap's file keeps what it was given back. */
	bool keeps = !scenario_owns_queue(&x->sc);
	u64 since, ms, freed, left = x->sc.len - 1 - keeps;
	char buf[FRAME_MAX];
	ssize_t len;

	ktap_plan(4);
	held_fill(&t->h);
	freed = drops_count();
	if (down) {
		netdev_up(x->b.dev, false);
		let_go(t);
	}
	since = stall_now_ns();
	netdev_delete(x->b.dev);
	ms = (stall_now_ns() - since) / NSEC_PER_MSEC;
	ktap_ok(ms < x->sc.stall_ms, "the device goes, without waiting for anybody");
	if (!down)
		let_go(t);
	len = read(x->b.fd[0], buf, sizeof(buf));
	ktap_ok(keeps ? len > 0 : len < 0 && errno == EBADFD,
		"a read of the file %s", keeps ? "gets a frame of them" :
		"fails with EBADFD");
	close(x->b.fd[--x->b.n_fds]);
	freed = drops_count() - freed;
	ktap_ok(freed == left, "what vhost held is freed: %llu of %llu", freed,
		left);
}

/* Until no more goes from the qdisc into the ring. */
static u64 settled_backlog(const struct run *x)
{
	u64 before, now = run_backlog(x);

	do {
		before = now;
		stall_nap(10 * NSEC_PER_MSEC);
		now = run_backlog(x);
	} while (now != before);
	return now;
}

static void check_noqueue(struct test *t)
{
	struct run *x = &t->h.x;
	unsigned int n, room = ring_room(x->sc.len);
	u64 down;

	ktap_plan(4);
	run_send(x, x->sc.len + WAITING);
	reader_take(&x->r, READ_BEFORE);
	reader_start(&t->h.vhost);
	n = reader_take(&t->h.vhost, OFFERED);
	ktap_ok(n == OFFERED, "vhost gets what it has buffers for: %u of %u", n,
		OFFERED);
	ktap_figure("backlog_before", (long long)settled_backlog(x), "frames");
	x->sc.qdisc = "noqueue";
	qdisc_replace(x->b.dev, x->sc.qdisc);
	let_go(t);
	n = sender_send_many(&x->s, 1);
	down = x->s.count[SEND_NETDOWN];
	ktap_ok(n == 1 && !down, "there is room, and a frame is taken: %llu ENETDOWN",
		down);
	reader_rest(&x->r);
	run_send(x, room);
	n = reader_take(&x->r, room);
	ktap_ok(n == room, "fresh frames flow: %u of %u", n, room);
}

static void check_tx(struct test *t)
{
	struct run *x = &t->h.x;
	unsigned int n, want = x->sc.len - 1, room = ring_room(x->sc.len);

	ktap_plan(4);
	t->other.sc = x->sc;
	t->other.sc.seed = ~x->sc.seed;
	run_open(&t->other, "backend1");
	held_fill(&t->h);
	vhost_attach_tx(t->h.vhost.vhost, t->other.b.fd[0]);
	run_send(&t->other, 1);
	n = reader_take(&t->h.vhost, want);
	ktap_ok(n == want, "vhost gets what it held: %u of %u", n, want);
	n = held_flow(&t->h, 2);
	ktap_ok(n == 2 * room, "and what is sent then: %u of %u", n, 2 * room);
	vhost_attach_tx(t->h.vhost.vhost, -1);
	n = held_flow(&t->h, 2);
	ktap_ok(n == 2 * room, "and after that: %u of %u", n, 2 * room);
	ktap_ok(tally_exact(&x->out, x->sc.len + 4 * room),
		"once and in order, and none of the other's: %llu missing, %llu repeated, %llu foreign",
		x->out.missing, x->out.repeated, x->out.foreign);
	run_close(&t->other);
}

int main(int argc, char **argv)
{
	struct test t = {};
	struct scenario *sc = &t.h.x.sc;
	enum part part = (enum part)choice_take(&argc, argv, "part", parts,
						PART_REFUSED);

	scenario_defaults(sc);
	sc->len = 16;
	scenario_options(sc, argc, argv, NULL, 0);
	scenario_need_one_queue(sc);
	if (part == PART_NOQUEUE && (!run_has_backlog(&t.h.x) || sc->len < LEAST))
		ktap_bail("noqueue: tun or tap, a qdisc before, a length from %u",
			  LEAST);
	if (part != PART_NOQUEUE && (sc->len < 2 || sc->len > VHOST_BATCH))
		ktap_bail("vhost_backend takes a length of 2 to %d", VHOST_BATCH);
	sc->own_protocol = true;
	netns_enter();
	bench_count_freed(sc);
	held_open(&t.h, "backend0");
	if (part == PART_REFUSED)
		check_refused(&t);
	else if (part == PART_DELETED || part == PART_DOWN)
		check_deleted(&t, part == PART_DOWN);
	else if (part == PART_NOQUEUE)
		check_noqueue(&t);
	else
		check_tx(&t);
	held_close(&t.h);
	drops_stop();
	return ktap_status();
}
