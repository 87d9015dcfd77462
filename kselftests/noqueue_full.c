// SPDX-License-Identifier: GPL-2.0-only
/*
 * Under noqueue a full ring refuses frames, and nobody waits. It is still so
 * after the device was changed over the full ring: whatever looks at the ring
 * then has no business with the queue, since the core refuses to send to one
 * that is stopped, with ENETDOWN and a complaint in the log.
 */
#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "run.h"

#define EXTRA 5

enum action {
	ACTION_SHRINK, ACTION_LINK, ACTION_CARRIER, ACTION_GIVEN_BACK,
	ACTION_ATTACH, ACTION_DETACH,
};

static const char * const actions[] = {
	"shrink", "link", "carrier", "given_back", "attach", "detach", NULL
};

/*
 * vhost holds what was in the ring. It gives that back beside one more frame, or
 * while the file has no queue: either way the ring is full again.
 */
static void give_back(struct run *x, enum action what, unsigned int len)
{
	struct reader vhost;

	reader_open(&vhost, READER_VHOST, x->b.fd[0], &x->out, x->sc.stall_ms);
	reader_hold(&vhost);
	if (what == ACTION_ATTACH)
		run_attach_held(x, &vhost, len);
	else if (sender_send(&x->s) != SEND_OK)
		ktap_bail("vhost does not make room");
	vhost_detach(vhost.vhost);
	reader_close(&vhost);
}

/* Returns how many of the frames in the ring are left. */
static unsigned int change(struct run *x, enum action what, unsigned int kept)
{
	switch (what) {
	case ACTION_SHRINK:
		kept /= 2;
		netdev_txqueuelen(x->b.dev, kept);
		break;
	case ACTION_LINK:
		netdev_up(x->b.dev, false);
		netdev_up(x->b.dev, true);
		break;
	case ACTION_CARRIER:
		/* Meanwhile the queue has a qdisc, which loses everything. */
		probe_carrier(x->b.fd[0], x->b.dev, false, x->sc.stall_ms);
		kept /= 2;
		netdev_txqueuelen(x->b.dev, kept);
		probe_carrier(x->b.fd[0], x->b.dev, true, x->sc.stall_ms);
		break;
	case ACTION_GIVEN_BACK:
		give_back(x, what, kept);
		break;
	case ACTION_ATTACH:
		give_back(x, what, --kept);
		break;
	case ACTION_DETACH:
		tuntap_queue(x->b.fd[0], false);
		break;
	}
	return kept;
}

static void check_refuses(struct run *x)
{
	unsigned int took = sender_send_many(&x->s, EXTRA);
	u64 full = drops_count();

	ktap_ok(!took && full == EXTRA && !x->s.count[SEND_NETDOWN],
		"what is sent is dropped at the ring: %llu of %d, %llu times ENETDOWN",
		full, EXTRA, x->s.count[SEND_NETDOWN]);
	ktap_ok(!bench_stopped(&x->b, &x->sc), "nothing is stopped");
}

int main(int argc, char **argv)
{
	enum action action = (enum action)choice_take(&argc, argv, "action",
						      actions, ACTION_SHRINK);
	unsigned int kept, got, fresh, before;
	struct run x;

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&x.sc) || x.sc.len < 2)
		ktap_bail("tun and tap only, and a ring that can become shorter");
	if ((action == ACTION_GIVEN_BACK || action == ACTION_ATTACH) &&
	    x.sc.len > VHOST_BATCH)
		ktap_bail("vhost holds no more than %d frames", VHOST_BATCH);
	x.sc.qdisc = "noqueue";
	if (action == ACTION_ATTACH || action == ACTION_DETACH)
		x.sc.queues = 2;
	ktap_plan(6);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "full0");
	if (action == ACTION_ATTACH)
		tuntap_queue(x.b.fd[1], false);
	else if (action == ACTION_DETACH)
		run_use_queue(&x, 1);

	kept = sender_send_many(&x.s, x.sc.len);
	ktap_ok(kept == x.sc.len, "the ring holds %u of %u", kept, x.sc.len);
	kept = change(&x, action, kept);
	before = (unsigned int)x.out.frames;
	check_refuses(&x);
	reader_start(&x.r);
	got = reader_take(&x.r, kept);
	ktap_ok(got == kept, "what the ring kept comes out: %u of %u", got, kept);
	fresh = sender_send_many(&x.s, 1);
	got = reader_take(&x.r, fresh);
	ktap_ok(fresh == 1 && got == 1, "fresh frames flow");
	ktap_ok(!x.out.repeated && x.out.frames == before + kept + 1,
		"each of them once");

	run_close(&x);
	drops_stop();
	return ktap_status();
}
