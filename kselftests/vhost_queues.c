// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net serves one queue of several, and nobody the others. What it takes
 * and gives back is that queue's alone: it is stopped when frames that were
 * given back leave its ring full, and woken when they are read; the others go
 * on.
 */
#include <string.h>

#include "drops.h"
#include "ktap.h"
#include "multi.h"
#include "netdev.h"

#define LATE 3U

struct test {
	struct multi m;
	unsigned int served;
	struct tally out;	/* of the queue that is served */
	struct reader vhost;
};

static unsigned int send(struct test *t, unsigned int queue, unsigned int n)
{
	return sender_send_many(&t->m.sender[queue], n);
}

/* The ring's frames, but for the first; one more has come, and has a slot. */
static void held_by_vhost(struct test *t)
{
	unsigned int len = t->m.sc.len;

	if (send(t, t->served, len) != len)
		ktap_bail("the ring does not take its length");
	reader_hold(&t->vhost);
	if (send(t, t->served, 1) != 1)
		ktap_bail("there is no slot");
}

/* A frame to each of the others comes out there: how many did. */
static unsigned int others(struct test *t)
{
	unsigned int q, came = 0;

	for (q = 0; q < t->m.sc.queues; q++)
		if (q != t->served && send(t, q, 1) == 1)
			came += multi_take(&t->m, q, 1);
	return came;
}

static void check(struct test *t)
{
	unsigned int len = t->m.sc.len, n = t->m.sc.queues - 1, came, got;
	struct qdisc_stats st;
	u64 lost;

	held_by_vhost(t);
	vhost_detach(t->vhost.vhost);
	came = others(t);
	ktap_ok(came == n, "given back, the others' frames come out: %u of %u",
		came, n);
	send(t, t->served, LATE);
	multi_child(&t->m, t->served, &st);
	lost = drops_count();
	ktap_ok(!lost && st.qlen == LATE,
		"its ring is full, and what is sent waits: %u of %u, %llu dropped",
		st.qlen, LATE, lost);
	reader_start(&t->vhost);
	got = reader_take(&t->vhost, len + LATE - (unsigned int)lost);
	ktap_ok(got == len + LATE, "vhost gets all of it: %u of %u", got,
		len + LATE);
	ktap_ok(tally_exact(&t->out, 1 + len + LATE),
		"once and in order: %llu missing, %llu repeated, %llu foreign",
		t->out.missing, t->out.repeated, t->out.foreign);
	came = others(t);
	ktap_ok(came == n, "and the others' still come out: %u of %u", came, n);
}

int main(int argc, char **argv)
{
	struct test t = {};
	struct scenario *sc = &t.m.sc;
	const struct scenario_option extra[] = {
		{ "served", &t.served, "the queue that vhost serves (1)" },
	};

	scenario_defaults(sc);
	sc->len = 16;
	sc->queues = 2;
	sc->qdisc = "mq";
	t.served = 1;
	scenario_options(sc, argc, argv, extra, ARRAY_SIZE(extra));
	if (!scenario_owns_queue(sc) || !sc->len || sc->len > VHOST_BATCH ||
	    t.served >= sc->queues || strcmp(sc->qdisc, "mq"))
		ktap_bail("tun or tap under mq, a length of 1 to %d, and a queue of it",
			  VHOST_BATCH);
	ktap_plan(5);
	netns_enter();
	drops_start("FULL_RING");
	multi_open(&t.m, "fq_codel");
	tally_start(&t.out, scenario_ether(sc), t.m.b.cookie);
	reader_open(&t.vhost, READER_VHOST, t.m.b.fd[t.served], &t.out,
		    sc->stall_ms);
	check(&t);
	reader_close(&t.vhost);
	multi_close(&t.m);
	drops_stop();
	return ktap_status();
}
