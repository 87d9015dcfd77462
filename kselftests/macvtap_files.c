// SPDX-License-Identifier: GPL-2.0-only
/*
 * A macvtap device with more files than it has tx queues. What the
 * lower device receives fills the rings, which belong to no tx queue; what is
 * written to the files goes out through the device's own, which the state of
 * the rings must not stop, and which no reader has any business to wake. A
 * wake by the number of the file looks for a queue behind the last one: that
 * shows on a kernel with CONFIG_DEBUG_NET or KASAN.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "qdisc.h"
#include "run.h"
#include "stall.h"

struct test {
	struct run run;
	struct listener far;	/* the other end of the lower device */
	struct tally wrote;
	struct frame frame;
	u64 written;
};

/* Fill all rings, empty them in this order: from the last file, or the first. */
static bool round_trip(struct run *x, bool backwards)
{
	unsigned int i, good = 0, n = x->b.n_fds;

	if (!run_fill_files(x)) {
		ktap_diag("not all of %u rings can be filled", n);
		return false;
	}
	for (i = 0; i < n; i++)
		good += run_read_file(x, backwards ? n - 1 - i : i);
	return good == n;
}

static void write_file(struct test *t, int fd)
{
	char buf[FRAME_MAX];
	size_t len = frame_build(buf, &t->frame);

	if (write(fd, buf, len) != (ssize_t)len)
		ktap_bail("write: %s", strerror(errno));
	t->frame.seq++;
	t->written++;
}

static void collect_far(struct test *t)
{
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	char buf[FRAME_MAX];
	ssize_t len;

	while ((len = recvfrom(t->far.fd, buf, sizeof(buf), MSG_DONTWAIT,
			       (struct sockaddr *)&from, &size)) >= 0) {
		if (from.sll_pkttype != PACKET_OUTGOING)
			tally_frame(&t->wrote, buf, (size_t)len);
		size = sizeof(from);
	}
}

/* What is written to each file in turn comes out at the far end. */
static bool write_all(struct test *t, unsigned int rounds)
{
	struct pollfd pfd = { .fd = t->far.fd, .events = POLLIN };
	unsigned int i;
	struct stall st;

	for (i = 0; i < rounds * t->run.b.n_fds; i++)
		write_file(t, t->run.b.fd[i % t->run.b.n_fds]);
	stall_start(&st, t->run.sc.stall_ms);
	for (;;) {
		collect_far(t);
		stall_note(&st, t->wrote.frames);
		if (t->wrote.frames >= t->written || stall_over(&st))
			break;
		poll(&pfd, 1, stall_left_ms(&st));
	}
	return tally_exact(&t->wrote, t->written);
}

static void check_written(struct test *t, const char *when)
{
	bool all = write_all(t, 4);
	struct qdisc_stats qd;

	qdisc_read(t->run.b.dev, &qd);
	ktap_ok(all && !qd.qlen,
		"what is written to the files goes out, %s: %llu of %llu, %llu missing, %u wait",
		when, t->wrote.frames, t->written, t->wrote.missing, qd.qlen);
}

static void test_files(struct test *t)
{
	struct run *x = &t->run;
	unsigned int n = x->b.n_fds;
	struct ledger l;

	check_written(t, "with empty rings");
	ktap_ok(run_fill_files(x), "all %u rings are full", n);
	check_written(t, "with full rings");
	ktap_ok(round_trip(x, false), "they come out whole, first file first");
	check_written(t, "with rings that were full");
	ktap_ok(round_trip(x, true), "filled again, the last file first");
	/* The last file takes the place, and the number, of the first. */
	close(x->b.fd[0]);
	x->b.fd[0] = tapdev_open(x->b.dev, n > 1 ? IFF_MULTI_QUEUE : 0);
	ktap_ok(round_trip(x, false), "with the first file closed and another opened");
	check_written(t, "after that");
	run_ledger(x, &l);
	ktap_ok(ledger_balances(&l), "conservation: %lld unaccounted",
		ledger_in_ring(&l));
	/* How much had to be sent depends on the hash; this does not. */
	ktap_figure("delivered", (long long)l.delivered, NULL);
	ktap_figure("written", (long long)t->wrote.frames, NULL);
	ktap_figure("tx_dropped", (long long)l.tx_dropped, NULL);
}

int main(int argc, char **argv)
{
	struct test t = {};
	u32 cookie;

	scenario_defaults(&t.run.sc);
	t.run.sc.dev = DEV_MACVTAP;
	t.run.sc.queues = 2;
	scenario_options(&t.run.sc, argc, argv, NULL, 0);
	if (t.run.sc.dev != DEV_MACVTAP || !t.run.sc.len)
		ktap_bail("macvtap and a length above 0");
	ktap_plan(9);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&t.run, "files0");
	/* The reader of the run would set one file's mode; each gets its own. */
	reader_close(&t.run.r);
	/* Until then each of the two has a qdisc that loses what is written. */
	probe_must_run(BENCH_LOWER, true, t.run.sc.stall_ms);
	probe_must_run(t.run.b.dev, true, t.run.sc.stall_ms);
	qdisc_replace(t.run.b.dev, t.run.sc.qdisc);
	cookie = ~t.run.b.cookie;
	t.frame = (struct frame) {
		.ether = true,
		.port = 41000,
		.cookie = cookie,
	};
	netdev_mac(t.run.b.via, t.frame.dst_mac);
	listener_open(&t.far, t.run.b.via, true);
	tally_start(&t.wrote, true, cookie);
	test_files(&t);
	listener_close(&t.far);
	sender_close(&t.run.s);
	bench_close(&t.run.b);
	drops_stop();
	return ktap_status();
}
