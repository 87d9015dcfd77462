// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net is moved from a tun or tap device to a packet socket, and back. A
 * socket is no ring: vhost receives from it as from any other, and what it held
 * of the device goes back to the device.
 */
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"

#define NEAR "near0"
#define FAR "far0"
#define TAKEN 3

struct test {
	struct run x;
	struct reader vhost;
	/* A packet socket on one end of a veth pair, and who sends to it. */
	struct listener socket;
	struct sender far;
	struct tally heard;
};

static void open_socket(struct test *t)
{
	netdev_veth(NEAR, FAR);
	qdisc_replace(FAR, "noqueue");
	netdev_up(NEAR, true);
	netdev_up(FAR, true);
	listener_open(&t->socket, NEAR, true);
	sender_open(&t->far, FAR, true, false, ~t->x.b.cookie);
	tally_start(&t->heard, true, ~t->x.b.cookie);
}

static unsigned int vhost_takes(struct test *t, int fd, struct tally *tally,
				unsigned int n)
{
	reader_serve(&t->vhost, fd, tally);
	return reader_take(&t->vhost, n);
}

static void check_socket(struct test *t, unsigned int n)
{
	unsigned int sent, got;

	sent = sender_send_many(&t->far, n);
	got = vhost_takes(t, t->socket.fd, &t->heard, n);
	if (!ktap_ok(sent == n && got == n && tally_exact(&t->heard, n),
		     "vhost gets what a packet socket receives, and nothing else"))
		ktap_diag("%u of %u sent, %u came out, %llu foreign", sent, n,
			  got, t->heard.foreign);
}

int main(int argc, char **argv)
{
	struct test t = {};
	struct run *x = &t.x;
	unsigned int len, got;

	scenario_parse(&x->sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&x->sc);
	x->sc.reader = READER_POLL;
	len = x->sc.len;
	if (!scenario_owns_queue(&x->sc) || len <= TAKEN || len > VHOST_BATCH)
		ktap_bail("tun and tap only, and a ring of %d to %d", TAKEN + 1,
			  VHOST_BATCH);
	ktap_plan(5);
	netns_enter();
	drops_start("FULL_RING");
	run_open(x, "from0");
	open_socket(&t);
	reader_open(&t.vhost, READER_VHOST, x->b.fd[0], &x->out, x->sc.stall_ms);

	run_send(x, len);
	got = vhost_takes(&t, x->b.fd[0], &x->out, TAKEN);
	ktap_ok(got == TAKEN, "vhost gets the first of the device: %u of %d", got,
		TAKEN);
	check_socket(&t, ring_room(len));
	got = reader_take(&x->r, len - TAKEN);
	if (!ktap_ok(got == len - TAKEN && tally_exact(&x->out, len),
		     "a plain reader of the device gets the rest, in order"))
		ktap_diag("%u of %u, %llu missing, %llu repeated, %llu foreign",
			  got, len - TAKEN, x->out.missing, x->out.repeated,
			  x->out.foreign);

	run_send(x, len);
	got = vhost_takes(&t, x->b.fd[0], &x->out, len);
	if (!ktap_ok(got == len && tally_exact(&x->out, 2 * len),
		     "back at the device, vhost gets its frames"))
		ktap_diag("%u of %u, %llu foreign", got, len, x->out.foreign);
	vhost_detach(t.vhost.vhost);
	ktap_ok(!drops_count(), "none is dropped: %llu", drops_count());

	reader_close(&t.vhost);
	listener_close(&t.socket);
	sender_close(&t.far);
	run_close(x);
	drops_stop();
	return ktap_status();
}
