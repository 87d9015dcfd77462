// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring holds txqueuelen frames, and a slot is free again only some frames
 * after its own was read. Under noqueue, where whatever finds no slot is
 * refused at once: then the answers to send() count the slots. So it is also
 * where the length was there before the file.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/if.h>

#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"
#include "task.h"

#define TUN_DEFAULT 500
#define TAP_DEFAULT 1000

#define EXTRA 5

static const unsigned int lengths[] = {
	1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 33, 64, 500, 1000, 4096,
};

/* Shorter and longer than any default, and none. */
static const unsigned int reopened[] = { 3, 0, 1, 1200 };

static unsigned int txqueuelen_of(const char *dev)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", dev);
	if (fd < 0 || ioctl(fd, SIOCGIFTXQLEN, &ifr))
		ktap_bail("txqueuelen of %s: %s", dev, strerror(errno));
	close(fd);
	return (unsigned int)ifr.ifr_qlen;
}

/* More than it can hold is offered; returns what it took. */
static unsigned int fill(struct sender *s, unsigned int expected)
{
	return sender_send_many(s, expected + EXTRA);
}

/* A device that nobody has open gets a length, and with its next file a ring of it. */
static void check_reopened(const struct scenario *sc, const struct bench *b,
			   int *fd, unsigned int len, struct sender *s)
{
	u64 down = s->count[SEND_NETDOWN];
	unsigned int held;

	if (tuntap_reopen(fd, b->dev, scenario_tuntap(sc), len))
		ktap_bail("txqueuelen of %s", b->dev);
	probe_must_run(b->dev, true, sc->stall_ms);
	held = fill(s, len);
	ktap_ok(held == len && s->count[SEND_NETDOWN] == down,
		"length %u before it is opened: the ring holds as many: %u", len,
		held);
}

/* A read of the empty ring waits until a signal comes: what it says then. */
static int read_empty(int fd)
{
	/* Again and again: the first one may come before it waits. */
	const struct itimerval soon = { { 0, 20000 }, { 0, 20000 } }, off = {};
	char buf[FRAME_MAX];
	int err;

	task_interrupt_by(SIGALRM);
	setitimer(ITIMER_REAL, &soon, NULL);
	err = read(fd, buf, sizeof(buf)) < 0 ? errno : 0;
	setitimer(ITIMER_REAL, &off, NULL);
	return err;
}

/* The device goes, and its file gets another one, with a ring of its own length. */
static void check_again(const struct scenario *sc, const struct bench *b, int fd,
			unsigned int len)
{
	unsigned int held;
	struct sender s;
	int err;

	netdev_delete(b->dev);
	tuntap_again(fd, b->dev, scenario_tuntap(sc));
	qdisc_replace(b->dev, "noqueue");
	netdev_up(b->dev, true);
	err = read_empty(fd);
	ktap_ok(err == EINTR, "a reader of the next device waits: %s",
		strerror(err));
	bench_sender(b, sc, &s, false);
	held = fill(&s, len);
	ktap_ok(held == len, "whose ring holds its txqueuelen: %u of %u", held,
		len);
	sender_close(&s);
}

static void check_default(const struct scenario *sc, const char *dev)
{
	bool tun = sc->dev == DEV_TUN;
	unsigned int expected = tun ? TUN_DEFAULT : TAP_DEFAULT;
	struct bench b = {
		.dev = dev,
		.via = dev,
		.cookie = sc->seed,
	};
	unsigned int i, len, held;
	struct sender s;
	int fd;

	fd = tuntap_open(dev, scenario_tuntap(sc));
	qdisc_replace(dev, "noqueue");
	netdev_up(dev, true);
	len = txqueuelen_of(dev);
	ktap_figure("default_txqueuelen", len, "frames");
	ktap_ok(len == expected, "%s: txqueuelen is %u by default",
		scenario_dev_name(sc->dev), expected);
	bench_sender(&b, sc, &s, false);
	held = fill(&s, len);
	if (!ktap_ok(held == len, "%s: the default ring holds txqueuelen",
		     scenario_dev_name(sc->dev)))
		ktap_diag("it holds %u of %u", held, len);
	/* Nothing of this is a matter of who reads. */
	if (sc->reader == READER_READ) {
		for (i = 0; i < ARRAY_SIZE(reopened); i++)
			check_reopened(sc, &b, &fd, reopened[i], &s);
		check_again(sc, &b, fd, expected);
	}
	sender_close(&s);
	close(fd);
}

static unsigned int room(struct sender *s, unsigned int most)
{
	return sender_send_many(s, most);
}

/* How many slots become free when, as frames are read one by one. */
static bool freed_by(struct reader *r, struct sender *s, unsigned int batch)
{
	unsigned int i, got;

	for (i = 1; i < batch; i++) {
		if (reader_take(r, 1) != 1) {
			ktap_diag("nothing to read after %u frames", i - 1);
			return false;
		}
		got = room(s, 1);
		if (got) {
			ktap_diag("a slot was free after %u reads", i);
			return false;
		}
	}
	if (reader_take(r, 1) != 1)
		return false;
	got = room(s, batch + EXTRA);
	if (got != batch)
		ktap_diag("%u slots were free after %u reads", got, batch);
	return got == batch;
}

static void check_length(struct run *x, unsigned int len)
{
	unsigned int batch = ring_batch(len);
	unsigned int held = fill(&x->s, len);
	struct tally *t = &x->out;

	if (!ktap_ok(held == len, "length %u: the ring holds as many", len))
		ktap_diag("it holds %u", held);
	ktap_ok(freed_by(&x->r, &x->s, batch),
		"length %u: slots are freed %u at a time", len, batch);
	reader_rest(&x->r);
	if (!ktap_ok(tally_exact(t, x->s.frame.seq),
		     "length %u: what it took came out once, in order", len))
		ktap_diag("%llu frames of %llu, %llu missing, %llu repeated",
			  (unsigned long long)t->frames,
			  (unsigned long long)x->s.frame.seq,
			  (unsigned long long)t->missing,
			  (unsigned long long)t->repeated);
}

static void check_zero(struct run *x)
{
	unsigned int took;

	netdev_txqueuelen(x->b.dev, 0);
	took = sender_send_many(&x->s, EXTRA);
	ktap_ok(!took && x->s.count[SEND_NETDOWN] == 0,
		"length 0: nothing is held, nothing is stopped");
}

int main(int argc, char **argv)
{
	unsigned int i, n = ARRAY_SIZE(lengths);
	struct run x;

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&x.sc) || x.sc.reader == READER_VHOST)
		ktap_bail("tun and tap only, and a reader that takes single frames");
	x.sc.qdisc = "noqueue";
	x.sc.len = lengths[0];

	ktap_plan(2 + 3 * n + 1 +
		  (x.sc.reader == READER_READ ? ARRAY_SIZE(reopened) + 2 : 0));
	netns_enter();
	check_default(&x.sc, "default0");

	drops_start("FULL_RING");
	run_open(&x, "ring0");
	reader_start(&x.r);
	for (i = 0; i < n; i++) {
		/* Of an empty ring: the new one starts at its first slot. */
		netdev_txqueuelen(x.b.dev, lengths[i]);
		check_length(&x, lengths[i]);
	}
	check_zero(&x);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
