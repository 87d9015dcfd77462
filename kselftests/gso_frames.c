// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large frames through a device with IFF_VNET_HDR. With --offload they lie in
 * the qdisc and in the ring as they are, and leave with a header that tells how
 * to cut them. Without, the qdisc hands over a frame as a list of segments, and
 * the ring may be full in the middle of it: the rest of the list has to wait.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "choice.h"
#include "drops.h"
#include "gso.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"
#include "vhost.h"

#define BEYOND 10

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static const char * const kinds[] = { "udp", "tcp", NULL };

struct test {
	struct scenario sc;
	struct bench bench;
	unsigned int offload;
	struct gso gso;
	struct gso_tally out;
	struct sockaddr_ll to;
	struct vhost *vhost;
	int fd;			/* of the sender */
	u64 refused;
};

static void test_open(struct test *t)
{
	unsigned long offload = 0;

	netns_enter();
	t->sc.tun_flags = IFF_VNET_HDR;
	bench_open(&t->bench, &t->sc, "gso0");
	if (t->offload)
		offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_USO4 | TUN_F_USO6;
	tuntap_offload(t->bench.fd[0], offload);
	tuntap_nonblock(t->bench.fd[0]);
	t->gso.ether = scenario_ether(&t->sc);
	t->gso.cookie = t->bench.cookie;
	t->fd = gso_socket(t->bench.dev, &t->to);
	if (t->sc.reader == READER_VHOST)
		t->vhost = vhost_open_vnet(GSO_MAX);
	drops_start("FULL_RING");
}

static void send_frames(struct test *t, unsigned int n)
{
	u8 buf[GSO_MAX];
	size_t len;

	for (; n; n--, t->gso.seq++) {
		len = gso_build(buf, &t->gso);
		if (sendto(t->fd, buf, len, MSG_DONTWAIT,
			   (struct sockaddr *)&t->to, sizeof(t->to)) >= 0)
			continue;
		if (errno != ENOBUFS)
			ktap_bail("send: %s", strerror(errno));
		t->refused++;
	}
}

static void vhost_frame(void *arg, const void *buf, size_t len)
{
	const size_t head = sizeof(struct virtio_net_hdr);
	struct test *t = arg;

	gso_enter(&t->out, &t->gso, (const u8 *)buf - head, len + head);
}

static void take_some(struct test *t, const struct stall *st)
{
	struct pollfd pfd = { .fd = t->bench.fd[0], .events = POLLIN };
	u8 buf[2 * GSO_MAX];
	ssize_t len;

	if (t->vhost) {
		vhost_offer(t->vhost, VHOST_BUFFERS);
		vhost_wait(t->vhost, stall_left_ms(st));
		vhost_collect(t->vhost, vhost_frame, t);
		return;
	}
	poll(&pfd, 1, stall_left_ms(st));
	len = read(pfd.fd, buf, sizeof(buf));
	if (len >= 0)
		gso_enter(&t->out, &t->gso, buf, (size_t)len);
	else if (errno != EAGAIN && errno != EINTR)
		ktap_bail("read: %s", strerror(errno));
}

/* Until so many segments have come out in all, dropped ones included. */
static bool take(struct test *t, u64 want)
{
	u64 got, unit = t->offload ? GSO_SEGMENTS : 1;
	struct stall st;

	if (t->vhost && !vhost_attached(t->vhost))
		vhost_attach(t->vhost, t->bench.fd[0]);
	stall_start(&st, t->sc.stall_ms);
	for (;;) {
		got = t->out.segments + t->out.broken + unit * drops_count();
		stall_note(&st, got);
		if (got >= want || stall_over(&st))
			break;
		take_some(t, &st);
	}
	if (got < want)
		ktap_diag("stalled: %llu of %llu segments", got, want);
	return got >= want;
}

static void check(struct test *t)
{
	unsigned int unit = t->offload ? GSO_SEGMENTS : 1;
	bool holds = qdisc_holds(t->sc.qdisc), all;
	u64 drops, sent;

	send_frames(t, t->sc.len + BEYOND);
	drops = drops_count();
	sent = t->gso.seq * GSO_SEGMENTS;
	if (holds)
		ktap_ok(!drops && !t->refused, "the driver drops nothing: %llu, %llu refused",
			drops, t->refused);
	else
		ktap_ok(sent - unit * drops == (u64)t->sc.len * unit,
			"the ring keeps what it can, %llu dropped", drops);
	ktap_figure("filled_drops", (long long)drops, NULL);
	all = take(t, sent);
	ktap_ok(all, "the reader gets all that waits");
	/* One by one, so that each is a frame to an empty ring. */
	for (unsigned int i = 0; all && i < 8; i++) {
		send_frames(t, 1);
		sent += GSO_SEGMENTS;
		all = take(t, sent);
	}
	ktap_ok(all, "frames go on flowing");
	ktap_ok(t->out.segments == sent - unit * drops_count() &&
		!t->out.repeated && (!holds || !t->out.missing),
		"each segment once and in order: %llu of %llu, %llu missing, %llu repeated",
		t->out.segments, sent, t->out.missing, t->out.repeated);
	ktap_ok(!t->out.broken, "headers, checksums and contents are right: %llu broken",
		t->out.broken);
	ktap_ok(t->out.large == (t->offload ? t->out.segments / GSO_SEGMENTS : 0),
		"%llu frames came whole", t->out.large);
	ktap_figure("segments", (long long)t->out.segments, NULL);
	ktap_figure("large", (long long)t->out.large, NULL);
	ktap_figure("driver_drops", (long long)drops_count(), NULL);
	ktap_figure("refused", (long long)t->refused, NULL);
}

int main(int argc, char **argv)
{
	struct test t = { .offload = 1 };
	const struct scenario_option extra[] = {
		{ "offload", &t.offload, "1: the device takes large frames" },
	};

	t.gso.kind = (enum gso_kind)choice_take(&argc, argv, "kind", kinds,
						GSO_UDP);
	scenario_parse(&t.sc, argc, argv, extra, ARRAY_SIZE(extra));
	scenario_need_one_queue(&t.sc);
	if (!scenario_owns_queue(&t.sc) || t.sc.len < GSO_SEGMENTS)
		ktap_bail("tun or tap, and room for the segments of one frame");
	ktap_plan(6);
	test_open(&t);
	check(&t);
	drops_stop();
	if (t.vhost)
		vhost_close(t.vhost);
	close(t.fd);
	bench_close(&t.bench);
	return ktap_status();
}
