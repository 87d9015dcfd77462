// SPDX-License-Identifier: GPL-2.0-only
/*
 * IPv6 multicast to many groups, from several threads, over one tun or tap.
 *
 * --to says who is there to take it: "reader", a program that reads the
 * device; "relay", members in another netns, by way of a program that copies
 * frames; "local", members on the sending device itself, beside a reader;
 * "unread", the same without a reader until everybody has come to an end; and
 * "partly", where a device with two queues has a reader for one, until then.
 */
#include <string.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "mcast.h"
#include "netdev.h"
#include "qdisc.h"
#include "relay.h"
#include "scenario.h"
#include "stall.h"

#define DEV "mcast0"
#define LOOK_NS NSEC_PER_MSEC

static const char * const places[] = { "reader", "relay", "local", "unread", "partly", NULL };
static const char * const kernels[] = { "stock", "patched", NULL };

enum place { TO_READER, TO_RELAY, TO_LOCAL, TO_UNREAD, TO_PARTLY };

struct test {
	struct scenario sc;
	enum place to;
	bool patched;
	unsigned int n;
	unsigned int each;
	unsigned int sndbuf;
	int netns[2];
	struct relay relay;
	struct relay late;	/* of what is unread at first */
	struct mcast_tally read;
	struct mcast_members members;
	struct mcast_sender sender[MCAST_SENDERS];
	pthread_t thread[MCAST_SENDERS];
	unsigned int sending;
	bool stop;
	u64 qdisc_drops;
	u64 elapsed_ns;
};

static void look(void *arg, unsigned int from, const void *buf, size_t len)
{
	struct test *t = arg;

	if (!from)
		mcast_frame(&t->read, scenario_ether(&t->sc), buf, len);
}

/* Nobody reads it, or not all of it, until the senders have come to rest. */
static bool is_late(const struct test *t)
{
	return t->to == TO_UNREAD || t->to == TO_PARTLY;
}

static int device(struct test *t, u8 host)
{
	unsigned int flags = scenario_tuntap(&t->sc);
	const u8 addr[16] = { 0xfd, [1] = 0x6b, [15] = host };
	int fd;

	if (t->to == TO_PARTLY)
		flags |= IFF_MULTI_QUEUE;
	fd = tuntap_open(DEV, flags);
	if (t->to == TO_PARTLY)
		t->late.fd[0] = tuntap_open(DEV, flags);
	netdev_txqueuelen(DEV, t->sc.len);
	qdisc_replace(DEV, t->sc.qdisc);
	netdev_up(DEV, true);
	netdev_addr6(DEV, addr, 64);
	return fd;
}

static void setup(struct test *t)
{
	unsigned int i;

	netns_enter_ipv6();
	t->netns[1] = netns_self();
	t->relay = (struct relay) {
		.fd = { -1, -1 }, .look = look, .arg = t,
	};
	t->late = t->relay;
	drops_start("FULL_RING");
	if (t->to == TO_RELAY) {
		t->relay.fd[1] = device(t, 2);
		mcast_join(&t->members, DEV);
		netns_enter_ipv6();
	}
	t->netns[0] = netns_self();
	t->relay.fd[0] = device(t, 1);
	if (t->to == TO_UNREAD) {
		t->late.fd[0] = t->relay.fd[0];
		t->relay.fd[0] = -1;
	}
	/* With a reader alone they are there for their MLD reports. */
	if (t->to != TO_RELAY)
		mcast_join(&t->members, DEV);
	for (i = 0; i < t->n; i++)
		mcast_sender_open(&t->sender[i], i, DEV, t->sndbuf,
				  t->to == TO_LOCAL || is_late(t));
}

static void *send_all(void *arg)
{
	struct mcast_sender *s = arg;
	struct test *t = (struct test *)((char *)(s - s->nr) -
					 offsetof(struct test, sender));

	while (s->sent < t->each && !shared_get(t->stop))
		mcast_send(s);
	shared_add(t->sending, -1);
	return NULL;
}

static u64 sent(const struct test *t)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < t->n; i++)
		sum += shared_get(t->sender[i].sent);
	return sum;
}

static unsigned int blocked(const struct test *t)
{
	unsigned int i, n = 0;

	for (i = 0; i < t->n; i++)
		n += shared_get(t->sender[i].sent) < t->each &&
		     shared_get(t->sender[i].timeouts);
	return n;
}

/* All was sent, and what the reader did not get was dropped. */
static bool is_read(struct test *t)
{
	struct qdisc_stats qd;

	if (shared_get(t->sending))
		return false;
	qdisc_read(DEV, &qd);
	t->qdisc_drops = qd.drops;
	return shared_get(t->read.frames) + drops_count() + qd.drops >= sent(t);
}

/* Members get what the device was given, whatever becomes of it there. */
static bool is_received(const struct test *t)
{
	u64 want = t->to == TO_RELAY ? shared_get(t->read.frames) : sent(t);

	return t->to == TO_READER ||
	       shared_get(t->members.tally.frames) + (t->to == TO_RELAY ?
						      drops_count() : 0) >= want;
}

/* Nobody reads: wait until each sender has finished, or has come to a stop. */
static bool is_stuck(const struct test *t)
{
	return shared_get(t->sending) == blocked(t) && is_received(t);
}

static bool wait_for(struct test *t, bool stuck)
{
	struct stall st;

	stall_start(&st, t->sc.stall_ms);
	while (stuck ? !is_stuck(t) : !is_read(t) || !is_received(t)) {
		stall_nap(LOOK_NS);
		stall_note(&st, sent(t) + shared_get(t->read.frames) +
			   shared_get(t->members.tally.frames));
		if (stall_over(&st))
			return false;
	}
	return true;
}

static void report_unread(struct test *t, bool settled)
{
	unsigned int n = blocked(t);

	ktap_figure("sent_unread", (long long)sent(t), "datagrams");
	ktap_figure("blocked_senders", n, NULL);
	if (t->patched)
		ktap_ok(settled && n == t->n,
			"unread, its senders wait: %u of %u, %llu datagrams sent",
			n, t->n, sent(t));
	else
		ktap_ok(settled && !n,
			"unread, it makes nobody wait: %llu datagrams sent", sent(t));
}

static void report(struct test *t, bool done)
{
	u64 drops = drops_count(), all = (u64)t->n * t->each;
	struct mcast_tally *m = &t->members.tally;
	bool lossy = is_late(t) && !t->patched;
	unsigned int i;
	u64 waits = 0;

	for (i = 0; i < t->n; i++)
		waits += t->sender[i].timeouts;
	ktap_figure("elapsed_us", (long long)(t->elapsed_ns / 1000), "us");
	ktap_figure("sent", (long long)sent(t), "datagrams");
	ktap_figure("read", (long long)t->read.frames, "frames");
	ktap_figure("received", (long long)m->frames, "datagrams");
	ktap_figure("mld_reports", (long long)t->read.reports, "frames");
	ktap_figure("driver_drops", (long long)drops, "frames");
	ktap_figure("qdisc_drops", (long long)t->qdisc_drops, "frames");
	ktap_figure("send_timeouts", (long long)waits, NULL);

	ktap_ok(done, "all of it comes to an end: %llu of %llu sent, %llu read, %llu received",
		sent(t), all, t->read.frames, m->frames);
	ktap_ok(!t->read.repeated && !m->repeated, "nothing comes twice");
	if (lossy)
		ktap_skip("stock drops what nobody reads", "no driver drop");
	else
		ktap_ok(!drops && t->read.frames + t->qdisc_drops >= sent(t),
			"no driver drop: %llu", drops);
	if (t->to == TO_READER)
		ktap_skip("no members receive", "members get all of it");
	else
		ktap_ok(m->frames + drops + t->qdisc_drops >= all,
			"members get all of it: %llu of %llu", m->frames, all);
}

static void run(struct test *t)
{
	bool done;
	unsigned int i;
	u64 start = stall_now_ns();

	t->sending = t->n;
	relay_start(&t->relay);
	if (t->to != TO_READER)
		mcast_receive_start(&t->members);
	for (i = 0; i < t->n; i++)
		if (pthread_create(&t->thread[i], NULL, send_all, &t->sender[i]))
			ktap_bail("no thread");
	if (is_late(t)) {
		report_unread(t, wait_for(t, true));
		relay_start(&t->late);
	}
	done = wait_for(t, false);
	t->elapsed_ns = stall_now_ns() - start;
	shared_set(t->stop, true);
	for (i = 0; i < t->n; i++)
		pthread_join(t->thread[i], NULL);
	relay_end(&t->relay);
	if (is_late(t))
		relay_end(&t->late);
	if (t->to != TO_READER)
		mcast_receive_end(&t->members);
	report(t, done);
}

int main(int argc, char **argv)
{
	static struct test t = { .n = 4, .each = 100 };
	const struct scenario_option options[] = {
		{ "senders", &t.n, "at once" },
		{ "each", &t.each, "datagrams that each of them sends" },
		{ "sndbuf", &t.sndbuf, "of the senders, 0 for the default" },
	};
	unsigned int i;

	t.to = (enum place)choice_take(&argc, argv, "to", places, TO_READER);
	t.patched = choice_take(&argc, argv, "on", kernels, 1);
	scenario_parse(&t.sc, argc, argv, options, ARRAY_SIZE(options));
	scenario_need_one_queue(&t.sc);
	if (!scenario_owns_queue(&t.sc) || !t.sc.len || !t.n ||
	    t.n > MCAST_SENDERS || t.each > MCAST_EACH)
		ktap_bail("multicast6 takes tun or tap, up to %d senders and %d each",
			  MCAST_SENDERS, MCAST_EACH);
	ktap_plan(is_late(&t) ? 5 : 4);
	setup(&t);
	run(&t);
	for (i = 0; i < t.n; i++)
		close(t.sender[i].fd);
	for (i = 0; i < 2; i++)
		if (t.relay.fd[i] >= 0)
			close(t.relay.fd[i]);
	if (t.late.fd[0] >= 0)
		close(t.late.fd[0]);
	drops_stop();
	return ktap_status();
}
