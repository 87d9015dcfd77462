// SPDX-License-Identifier: GPL-2.0-only
/*
 * Under mq each queue has a qdisc of its own, and here one of them has noqueue,
 * which is what a child gets by net.core.default_qdisc. Its frames are dropped
 * as on stock when its ring is full, and its sender is told; the other queue's
 * wait.
 */
#include "drops.h"
#include "ktap.h"
#include "multi.h"
#include "netdev.h"
#include "sysctl.h"

#define EXTRA 5U

static struct sysctl children;

/* Only a new mq gets children of another kind. */
static void mix(struct multi *m, unsigned int plain)
{
	sysctl_set(&children, "noqueue\n");
	qdisc_replace_any(m->b.dev, "pfifo_fast");
	qdisc_replace(m->b.dev, "mq");
	sysctl_set_back(&children);
	qdisc_replace_at(m->b.dev, "fq_codel", QDISC_CHILD(!plain + 1));
}

static void check(struct multi *m, unsigned int plain)
{
	unsigned int n = m->sc.len + EXTRA, other = !plain, sent, got;
	const struct sender *s = &m->sender[plain];
	struct qdisc_stats qd;
	u64 lost, drops;

	sent = sender_send_many(&m->sender[other], n);
	lost = drops_count();
	multi_child(m, other, &qd);
	ktap_ok(sent == n && !lost && qd.qlen == EXTRA,
		"what queue %u has no room for waits: %u sent, %u wait, %llu dropped",
		other, sent, qd.qlen, lost);
	sent = sender_send_many(&m->sender[plain], n);
	drops = drops_count() - lost;
	ktap_ok(sent == m->sc.len && drops == EXTRA &&
		s->count[SEND_NOBUFS] == EXTRA,
		"what queue %u has no room for is dropped, and the sender told: %u sent, %llu dropped, %llu ENOBUFS, %llu ENETDOWN",
		plain, sent, drops, s->count[SEND_NOBUFS], s->count[SEND_NETDOWN]);
	/* What is known to be lost need not be waited for. */
	got = multi_take(m, other, n - (unsigned int)lost);
	ktap_ok(got == n, "all of queue %u come out: %u of %u", other, got, n);
	got = multi_take(m, plain, m->sc.len);
	ktap_ok(got == m->sc.len, "and of queue %u what fits: %u of %u", plain, got,
		m->sc.len);
	ktap_ok(!multi_wrong(m) && !multi_astray(m),
		"each once, in order, from its own: %llu, %llu not", multi_wrong(m),
		multi_astray(m));
}

int main(int argc, char **argv)
{
	struct multi m = {};
	unsigned int plain = 0;
	const struct scenario_option extra[] = {
		{ "plain", &plain, "the queue of the two with noqueue (0)" },
	};

	scenario_parse(&m.sc, argc, argv, extra, ARRAY_SIZE(extra));
	if (!scenario_owns_queue(&m.sc) || !m.sc.len || plain > 1)
		ktap_bail("mixed_qdiscs takes tun or tap, a length above 0, queue 0 or 1");
	m.sc.queues = 2;
	m.sc.qdisc = "mq";
	ktap_plan(5);
	sysctl_open(&children, "/proc/sys/net/core/default_qdisc");
	netns_enter();
	drops_start("FULL_RING");
	multi_open(&m, "fq_codel");
	mix(&m, plain);
	check(&m, plain);
	multi_close(&m);
	drops_stop();
	sysctl_close(&children);
	return ktap_status();
}
