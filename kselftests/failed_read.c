// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read into a buffer that has no room for the header fails, and its frame is
 * lost: the slot is free all the same, and the queue runs on as after a read
 * that succeeds. With --cut 1 there is no header, and of each such frame the
 * reader gets the beginning.
 */
#include <errno.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "drops.h"
#include "intake.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"

#define BEYOND 5

/* How many of @n reads fail, or are cut short, as they should. */
static unsigned int short_reads(int fd, unsigned int n, bool cut)
{
	char buf[sizeof(struct virtio_net_hdr) - 1];
	unsigned int good = 0;
	ssize_t len;

	while (n--) {
		len = read(fd, buf, sizeof(buf));
		good += cut ? len == sizeof(buf) : len < 0 && errno == EINVAL;
	}
	return good;
}

static void take_headed(void *arg, const void *buf, size_t len)
{
	const size_t head = sizeof(struct virtio_net_hdr);

	if (len < head)
		ktap_bail("a frame without its header");
	tally_frame(arg, (const char *)buf + head, len - head);
}

static void test(struct run *x, bool cut)
{
	/* Of a long ring this is when slots are cleared first. */
	unsigned int fails = ring_batch(x->sc.len);
	/* pfifo_fast holds no more than the device's length. */
	unsigned int extra = min(qdisc_capacity(x->sc.qdisc, x->sc.len),
				 fails + BEYOND);
	unsigned int rest = x->sc.len + extra - fails, held, failed, got;
	struct netdev_stats dev;
	struct intake in;
	u64 left;

	intake_open(&in, x->b.fd[0], false, cut ? tally_take : take_headed, &x->out);
	run_send(x, x->sc.len + extra);
	held = (unsigned int)run_backlog(x);
	ktap_ok(held == extra, "%u of %u wait", held, extra);
	failed = short_reads(x->b.fd[0], fails, cut);
	ktap_ok(failed == fails, "too short, reads %s: %u of %u",
		cut ? "get the beginning" : "fail", failed, fails);
	left = run_backlog_falls(x, extra - fails);
	ktap_ok(left == extra - fails, "and so many frames go on: %lld",
		(long long)held - (long long)left);
	got = intake_take(&in, x->sc.len + held - fails, x->sc.stall_ms);
	ktap_ok(got == rest && x->out.missing == fails && !x->out.repeated,
		"the others come out, in order: %u of %u", got, rest);
	netdev_stats(x->b.dev, &dev);
	ktap_ok(!drops_count() && !dev.tx_dropped,
		"none is dropped for a full ring: %llu, counted as %llu",
		drops_count(), dev.tx_dropped);
}

int main(int argc, char **argv)
{
	struct run x = {};
	unsigned int cut = 0;
	const struct scenario_option extra[] = {
		{ "cut", &cut, "1: frames without a header" },
	};

	scenario_parse(&x.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&x.sc);
	if (!run_has_backlog(&x) || !x.sc.len)
		ktap_bail("failed_read takes tun or tap, a qdisc, a length above 0");
	x.sc.tun_flags = cut ? 0 : IFF_VNET_HDR;
	ktap_plan(5);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "short0");
	test(&x, cut);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
