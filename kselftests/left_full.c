// SPDX-License-Identifier: GPL-2.0-only
/*
 * Something other than a sender leaves the ring full, or sets a queue running
 * over a full one: the driver has to stop it then, and not only when a frame
 * comes. What is sent then waits in the qdisc and reaches the driver once, when
 * there is room for it.
 */
#include <unistd.h>
#include <linux/if_tun.h>

#include "bpf.h"
#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "qdisc.h"
#include "run.h"

#define LATE 3U

enum how {
	HOW_LINK,	/* set down and up again */
	HOW_LINK_DARK,	/* the same, while there is no carrier */
	HOW_CARRIER,	/* off and on again */
	HOW_SHRINK,
	HOW_GIVEN_BACK,	/* by vhost-net */
	HOW_GIVEN_DARK,	/* the same, while there is no carrier */
	HOW_ATTACH,	/* a file whose ring was filled while it had no queue */
	HOW_ATTACH_OTHER, /* the same, and its queue is another one than before */
	HOW_OPEN,	/* a second file opens the device */
	HOW_DETACH,	/* the first queue goes, the full one has its number then */
	HOW_CLOSE,	/* the other one of two files is closed */
	HOW_OFFLOAD,	/* its owner asks for another offload */
	HOW_XDP,	/* a tap gets an XDP program */
};

static const char * const hows[] = {
	"link", "link_dark", "carrier", "shrink", "given_back", "given_dark",
	"attach", "attach_other", "open", "detach", "close", "offload", "xdp", NULL
};

struct test {
	struct run x;
	enum how how;
	bool two;
	unsigned int queue;	/* of the two, the one that is full */
	unsigned int len;	/* the ring's, in the end */
	struct reader vhost;
	struct listener tap;
	struct tally seen;	/* by the packet tap, on the way to the driver */
};

static void test_open(struct test *t)
{
	struct scenario *sc = &t->x.sc;

	t->len = sc->len;
	t->two = sc->queues == 2;
	if (t->how == HOW_SHRINK)
		sc->len *= 2;
	if (t->how == HOW_ATTACH || t->how == HOW_ATTACH_OTHER) {
		sc->len++;
		sc->queues = 2;
	}
	sc->multi_queue = t->how == HOW_OPEN;
	netns_enter();
	drops_start("FULL_RING");
	run_open(&t->x, "full0");
	if (t->how == HOW_ATTACH)
		tuntap_queue(t->x.b.fd[1], false);
	if (t->two || t->how == HOW_ATTACH_OTHER)
		run_use_queue(&t->x, t->queue);
	reader_open(&t->vhost, READER_VHOST, t->x.b.fd[0], &t->x.out,
		    sc->stall_ms);
}

/* vhost gets one frame, and holds the others: the ring is empty. */
static void held_by_vhost(struct test *t)
{
	run_send(&t->x, t->x.sc.len);
	reader_hold(&t->vhost);
}

static void leave_full(struct test *t)
{
	struct run *x = &t->x;
	int prog;

	switch (t->how) {
	case HOW_LINK:
		run_send(x, t->len);
		netdev_up(x->b.dev, false);
		netdev_up(x->b.dev, true);
		break;
	case HOW_LINK_DARK:
	case HOW_CARRIER:
		run_send(x, t->len);
		probe_carrier(x->b.fd[0], x->b.dev, false, x->sc.stall_ms);
		if (t->how == HOW_LINK_DARK) {
			netdev_up(x->b.dev, false);
			netdev_up(x->b.dev, true);
		}
		tuntap_carrier(x->b.fd[0], true);
		break;
	case HOW_SHRINK:
		run_send(x, t->len);
		netdev_txqueuelen(x->b.dev, t->len);
		break;
	case HOW_GIVEN_BACK:
		held_by_vhost(t);
		run_send(x, 1);
		vhost_detach(t->vhost.vhost);
		break;
	case HOW_GIVEN_DARK:
		held_by_vhost(t);
		run_send(x, 1);
		probe_carrier(x->b.fd[0], x->b.dev, false, x->sc.stall_ms);
		vhost_detach(t->vhost.vhost);
		tuntap_carrier(x->b.fd[0], true);
		break;
	case HOW_ATTACH:
	case HOW_ATTACH_OTHER:
		held_by_vhost(t);
		/* The other file gets its number meanwhile, and keeps that. */
		if (t->how == HOW_ATTACH_OTHER)
			bpf_steer_by_port(x->b.fd[0], scenario_ether(&x->sc),
					  (u16)(x->s.frame.port - 1));
		run_attach_held(x, &t->vhost, t->len);
		break;
	case HOW_OPEN:
		/* All frames go on to the first file's queue. */
		bpf_steer_by_port(x->b.fd[0], scenario_ether(&x->sc),
				  x->s.frame.port);
		run_send(x, t->len);
		x->b.fd[x->b.n_fds++] =
			tuntap_open(x->b.dev, tuntap_flags(x->b.fd[0]));
		break;
	case HOW_DETACH:
		run_send(x, t->len);
		tuntap_queue(x->b.fd[0], false);
		break;
	case HOW_CLOSE:
		run_send(x, t->len);
		close(x->b.fd[!t->queue]);
		x->b.fd[0] = x->b.fd[t->queue];
		x->b.n_fds = 1;
		break;
	case HOW_OFFLOAD:
		run_send(x, t->len);
		tuntap_offload(x->b.fd[0], TUN_F_CSUM);
		break;
	case HOW_XDP:
		run_send(x, t->len);
		prog = bpf_send_back();
		bpf_xdp_attach(x->b.dev, prog);
		close(prog);
		break;
	}
	probe_must_run(x->b.dev, true, x->sc.stall_ms);
	if (x->s.count[SEND_OK] != t->len + (u64)x->out.frames)
		ktap_bail("the ring does not take its length");
}

static void check(struct test *t)
{
	struct run *x = &t->x;
	/* pfifo_fast holds no more than the device's length. */
	unsigned int late = min(qdisc_capacity(x->sc.qdisc, t->len), LATE);
	unsigned int all = (unsigned int)x->s.count[SEND_OK] + late;
	unsigned int accepted, got;
	u64 waiting;

	listener_open(&t->tap, x->b.dev, scenario_ether(&x->sc));
	tally_start(&t->seen, scenario_ether(&x->sc), x->b.cookie);
	t->seen.next = all - late;
	accepted = sender_send_many(&x->s, late);
	listener_collect(&t->tap, &t->seen);
	waiting = run_backlog(x);
	ktap_ok(!t->seen.frames, "none goes to the driver while the ring is full: %llu",
		t->seen.frames);
	ktap_ok(accepted == late && waiting == late,
		"all wait in the qdisc: %llu of %u", waiting, late);

	reader_start(&x->r);
	/* What is known to be lost need not be waited for. */
	got = all - (unsigned int)(x->out.frames + drops_count());
	reader_take(&x->r, got);
	listener_collect(&t->tap, &t->seen);
	ktap_ok(tally_exact(&x->out, all), "all come out once, in order: %llu of %u",
		x->out.frames, all);
	ktap_ok(t->seen.frames == late && !t->seen.repeated,
		"each went to the driver once: %llu, %llu more than once",
		t->seen.frames, t->seen.repeated);
	ktap_ok(!drops_count(), "the driver drops nothing: %llu", drops_count());
	listener_close(&t->tap);
}

static bool only_of_one(enum how how)
{
	return how == HOW_LINK_DARK || how == HOW_GIVEN_BACK ||
	       how == HOW_GIVEN_DARK || how == HOW_ATTACH ||
	       how == HOW_ATTACH_OTHER || how == HOW_OPEN ||
	       how == HOW_OFFLOAD || how == HOW_XDP;
}

static bool only_of_two(enum how how)
{
	return how == HOW_DETACH || how == HOW_CLOSE;
}

int main(int argc, char **argv)
{
	struct test t = {
		.how = (enum how)choice_take(&argc, argv, "how", hows, HOW_LINK),
	};
	const struct scenario_option extra[] = {
		{ "queue", &t.queue,
		  "of two, which is full (0; link, carrier, shrink, detach, close)" },
	};
	struct scenario *sc = &t.x.sc;

	scenario_defaults(sc);
	sc->len = 16;
	scenario_options(sc, argc, argv, extra, ARRAY_SIZE(extra));
	if (sc->queues > 2 || t.queue >= sc->queues ||
	    (sc->queues == 1 && only_of_two(t.how)) ||
	    (sc->queues == 2 && only_of_one(t.how)) ||
	    (t.how == HOW_DETACH && !t.queue))
		ktap_bail("two queues: link, carrier, shrink, close, detach with --queue 1");
	if (!run_has_backlog(&t.x) || !sc->len || sc->len >= VHOST_BATCH)
		ktap_bail("left_full takes tun or tap, a length of 1 to %d, a qdisc",
			  VHOST_BATCH - 1);
	if (t.how == HOW_XDP && sc->dev != DEV_TAP)
		ktap_bail("XDP is a tap's");
	ktap_plan(5);
	test_open(&t);
	leave_full(&t);
	check(&t);
	reader_close(&t.vhost);
	run_close(&t.x);
	drops_stop();
	return ktap_status();
}
