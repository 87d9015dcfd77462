// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read into a buffer that has no room for the header fails, and its frame is
 * lost: the slot is free all the same, and the queue runs on as after a read
 * that succeeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "ring.h"
#include "run.h"
#include "stall.h"

#define BEYOND 5

/* How many of @n reads fail as they should. */
static unsigned int fail_reads(int fd, unsigned int n)
{
	char buf[sizeof(struct virtio_net_hdr) - 1];
	unsigned int failed = 0;

	while (n--)
		failed += read(fd, buf, sizeof(buf)) < 0 && errno == EINVAL;
	return failed;
}

/* Without waiting: all that is to come is in the ring, or on its way there. */
static unsigned int read_rest(struct run *x, unsigned int n)
{
	char buf[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	const size_t head = sizeof(struct virtio_net_hdr);
	unsigned int got = 0;
	struct stall st;
	ssize_t len;

	stall_start(&st, x->sc.stall_ms);
	while (got < n && !stall_over(&st)) {
		len = read(x->b.fd[0], buf, sizeof(buf));
		if (len < (ssize_t)head)
			continue;
		tally_frame(&x->out, buf + head, (size_t)len - head);
		stall_note(&st, ++got);
	}
	return got;
}

static void test(struct run *x)
{
	/* Of a long ring this is when slots are cleared first. */
	unsigned int fails = ring_batch(x->sc.len);
	/* pfifo_fast holds no more than the device's length. */
	unsigned int extra = min(qdisc_capacity(x->sc.qdisc, x->sc.len),
				 fails + BEYOND);
	unsigned int rest = x->sc.len + extra - fails, held, failed, got;
	u64 left;

	run_send(x, x->sc.len + extra);
	held = (unsigned int)run_backlog(x);
	ktap_ok(held == extra, "%u of %u wait", held, extra);
	failed = fail_reads(x->b.fd[0], fails);
	ktap_ok(failed == fails, "too short, reads fail: %u of %u", failed,
		fails);
	left = run_backlog_falls(x, extra - fails);
	ktap_ok(left == extra - fails, "and so many frames go on: %lld",
		(long long)held - (long long)left);
	got = read_rest(x, x->sc.len + held - fails);
	ktap_ok(got == rest && x->out.missing == fails && !x->out.repeated,
		"the others come out, in order: %u of %u", got, rest);
	ktap_ok(!drops_count(), "none is dropped for a full ring: %llu",
		drops_count());
}

int main(int argc, char **argv)
{
	struct run x = {};

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&x.sc);
	if (!run_has_backlog(&x) || !x.sc.len)
		ktap_bail("failed_read takes tun or tap, a qdisc, a length above 0");
	x.sc.tun_flags = IFF_VNET_HDR;
	ktap_plan(5);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "short0");
	if (fcntl(x.b.fd[0], F_SETFL, O_NONBLOCK))
		ktap_bail("O_NONBLOCK: errno %d", errno);
	test(&x);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
