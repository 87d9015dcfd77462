// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend of a vhost-net that holds frames of it.
 *
 *   refused  vhost is given a file that is no device's, and refuses it: all
 *            goes on with the device that it has
 *   deleted  the device is deleted: what vhost then gives back is nobody's
 *   tx       where the guest's own frames go is another device, then none: what
 *            it receives still comes from the first
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "ring.h"
#include "run.h"
#include "stall.h"

enum part { PART_REFUSED, PART_DELETED, PART_TX };

static const char * const parts[] = { "refused", "deleted", "tx", NULL };

struct test {
	struct run x;
	struct run other;
	struct reader vhost;
};

/* vhost has got one frame, and all others of the ring. */
static void held(struct test *t)
{
	run_send(&t->x, t->x.sc.len);
	reader_hold(&t->vhost);
}

/* Send, and have it from vhost, as often as this: how many frames came. */
static unsigned int flow(struct test *t, unsigned int rounds)
{
	unsigned int room = ring_room(t->x.sc.len), n = 0;

	while (rounds--) {
		run_send(&t->x, room);
		n += reader_take(&t->vhost, room);
	}
	return n;
}

static void check_refused(struct test *t)
{
	struct run *x = &t->x;
	unsigned int n, got, room = ring_room(x->sc.len), want;
	int bare = open("/dev/net/tun", O_RDWR | O_CLOEXEC), err;

	ktap_plan(4);
	if (bare < 0)
		ktap_bail("/dev/net/tun: %s", strerror(errno));
	held(t);
	err = vhost_try_attach(t->vhost.vhost, bare);
	ktap_ok(err == EINVAL, "a file without a device is refused: %s",
		strerror(err));
	want = x->sc.len - 1;
	got = reader_take(&t->vhost, want);
	ktap_ok(got == want, "vhost gets what it held: %u of %u", got, want);
	n = flow(t, 3);
	ktap_ok(n == 3 * room, "and what is sent then: %u of %u", n, 3 * room);
	ktap_ok(tally_exact(&x->out, x->sc.len + 3 * room),
		"once and in order: %llu missing, %llu repeated, %llu foreign",
		x->out.missing, x->out.repeated, x->out.foreign);
	close(bare);
}

static void check_deleted(struct test *t)
{
	struct run *x = &t->x;
	u64 since, ms, freed;
	char buf[8];

	ktap_plan(4);
	held(t);
	since = stall_now_ns();
	netdev_delete(x->b.dev);
	ms = (stall_now_ns() - since) / 1000000;
	ktap_ok(ms < x->sc.stall_ms, "the device goes, without waiting for vhost");
	ktap_ok(!vhost_try_attach(t->vhost.vhost, -1), "vhost lets go");
	ktap_ok(read(x->b.fd[0], buf, sizeof(buf)) < 0 && errno == EBADFD,
		"a read of the file fails with EBADFD");
	freed = drops_count();
	close(x->b.fd[--x->b.n_fds]);
	freed = drops_count() - freed;
	ktap_ok(freed == x->sc.len - 1,
		"what vhost held is freed with the file: %llu of %u", freed,
		x->sc.len - 1);
}

static void check_tx(struct test *t)
{
	struct run *x = &t->x;
	unsigned int n, want = x->sc.len - 1, room = ring_room(x->sc.len);

	ktap_plan(4);
	t->other.sc = x->sc;
	t->other.sc.seed = ~x->sc.seed;
	run_open(&t->other, "backend1");
	held(t);
	vhost_attach_tx(t->vhost.vhost, t->other.b.fd[0]);
	run_send(&t->other, 1);
	n = reader_take(&t->vhost, want);
	ktap_ok(n == want, "vhost gets what it held: %u of %u", n, want);
	n = flow(t, 2);
	ktap_ok(n == 2 * room, "and what is sent then: %u of %u", n, 2 * room);
	vhost_attach_tx(t->vhost.vhost, -1);
	n = flow(t, 2);
	ktap_ok(n == 2 * room, "and after that: %u of %u", n, 2 * room);
	ktap_ok(tally_exact(&x->out, x->sc.len + 4 * room),
		"once and in order, and none of the other's: %llu missing, %llu repeated, %llu foreign",
		x->out.missing, x->out.repeated, x->out.foreign);
	run_close(&t->other);
}

int main(int argc, char **argv)
{
	struct test t = {};
	struct scenario *sc = &t.x.sc;
	enum part part = (enum part)choice_take(&argc, argv, "part", parts,
						PART_REFUSED);

	scenario_defaults(sc);
	sc->len = 16;
	scenario_options(sc, argc, argv, NULL, 0);
	scenario_need_one_queue(sc);
	sc->reader = READER_POLL;
	if (sc->len < 2 || sc->len > VHOST_BATCH)
		ktap_bail("vhost_backend takes a length of 2 to %d", VHOST_BATCH);
	if (part == PART_DELETED && !scenario_owns_queue(sc))
		ktap_bail("deleted: tun or tap");
	netns_enter();
	drops_start(NULL);
	run_open(&t.x, "backend0");
	reader_open(&t.vhost, READER_VHOST, t.x.b.fd[0], &t.x.out, sc->stall_ms);
	if (part == PART_REFUSED)
		check_refused(&t);
	else if (part == PART_DELETED)
		check_deleted(&t);
	else
		check_tx(&t);
	reader_close(&t.vhost);
	run_close(&t.x);
	drops_stop();
	return ktap_status();
}
