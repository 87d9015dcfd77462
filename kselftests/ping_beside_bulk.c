// SPDX-License-Identifier: GPL-2.0-only
/*
 * ping through a slow tunnel that a bulk sender keeps full.
 *
 * A ping's wait is told in frames: how many the relay took from the device
 * between the send, once that has returned, and the ping itself. A slow host
 * makes them take longer, not more.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/if_ether.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"
#include "streams.h"
#include "tunnel.h"

#define PINGS 8
#define PING_ID 0x6b73
#define BULK_BYTES 1000
#define PORT 4000
#define LOOK_MS 20
/* What fq_codel gives a flow at a time. */
#define QUANTUM_BYTES 1514
/* The largest frame before segmentation: its segments stay together. */
#define GSO_SEGMENTS 46
/* One in the relay's hands, one between qdisc and driver. */
#define ON_THE_WAY 2

static const char * const bulks[] = { "udp", "tcp", NULL };
static const char * const kernels[] = { "patched", "stock", NULL };

enum bulk { BULK_UDP, BULK_TCP };

struct test {
	struct scenario sc;
	enum bulk kind;
	bool judged;
	unsigned int frame_us;
	struct tunnel tunnel;
	struct streams streams;
	pthread_t bulk;
	int bulk_fd;
	int sink_fd;
	int ping_fd;
	bool stop;
	u64 frames;		/* of the bulk, at the relay */
	u64 passed[PINGS];	/* the same when a ping came by, and 1 */
	unsigned int bound;
	unsigned int answered;
	unsigned int in_time;
	u64 worst;
	u64 worst_us;
};

static void look(void *arg, unsigned int from, const void *buf, size_t len)
{
	struct test *t = arg;
	size_t head = scenario_ether(&t->sc) ? sizeof(struct ethhdr) : 0;
	struct icmphdr icmp;
	struct iphdr ip;

	if (from || len < head + sizeof(ip) + sizeof(icmp))
		return;
	memcpy(&ip, (const char *)buf + head, sizeof(ip));
	memcpy(&icmp, (const char *)buf + head + sizeof(ip), sizeof(icmp));
	if (ip.version != 4 || ip.protocol != IPPROTO_ICMP)
		shared_add(t->frames, 1);
	else if (icmp.un.echo.id == htons(PING_ID) &&
		 ntohs(icmp.un.echo.sequence) < PINGS)
		shared_set(t->passed[ntohs(icmp.un.echo.sequence)], t->frames + 1);
}

static int open_socket(int type, int protocol)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		ktap_bail("socket: %s", strerror(errno));
	return fd;
}

static void set(int fd, int name, const void *value, socklen_t size)
{
	if (setsockopt(fd, SOL_SOCKET, name, value, size))
		ktap_bail("socket option %d: %s", name, strerror(errno));
}

/* A flow of fq_codel of its own, with nothing left to a hash. */
static void set_flow(int fd, int flow)
{
	int priority = (int)QDISC_CHILD(flow);

	set(fd, SO_PRIORITY, &priority, sizeof(priority));
}

static struct sockaddr_in far_end(void)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(TUNNEL_FAR),
	};
}

static void setup(struct test *t)
{
	struct timeval look_tv = { .tv_usec = LOOK_MS * 1000 };
	struct sockaddr_in at = far_end();

	tunnel_open(&t->tunnel, &t->sc);
	drops_start("FULL_RING");
	t->tunnel.relay.frame_us = t->frame_us;
	t->tunnel.relay.look = look;
	t->tunnel.relay.arg = t;
	/* Nobody reads it: what it has no room for is gone. */
	t->sink_fd = open_socket(SOCK_DGRAM, 0);
	if (bind(t->sink_fd, (struct sockaddr *)&at, sizeof(at)))
		ktap_bail("bind: %s", strerror(errno));
	if (t->kind == BULK_TCP)
		streams_listen(&t->streams, TUNNEL_FAR);
	tunnel_enter_near(&t->tunnel);
	qdisc_fq_codel(TUNNEL_DEV, 0, 0);
	t->ping_fd = open_socket(SOCK_RAW, IPPROTO_ICMP);
	set_flow(t->ping_fd, 2);
	t->bulk_fd = open_socket(SOCK_DGRAM, 0);
	set_flow(t->bulk_fd, 1);
	set(t->bulk_fd, SO_SNDTIMEO, &look_tv, sizeof(look_tv));
	t->bound = t->sc.len + ON_THE_WAY +
		   (t->kind == BULK_TCP ? GSO_SEGMENTS :
		    QUANTUM_BYTES / BULK_BYTES + 1);
}

static void *send_bulk(void *arg)
{
	struct sockaddr_in to = far_end();
	char buf[BULK_BYTES] = "";
	struct test *t = arg;

	/* Blocks when its socket's room is used up, for as long as set. */
	while (!shared_get(t->stop))
		if (sendto(t->bulk_fd, buf, sizeof(buf), 0,
			   (struct sockaddr *)&to, sizeof(to)) < 0 &&
		    errno != EAGAIN && errno != ENOBUFS)
			ktap_bail("bulk: %s", strerror(errno));
	return NULL;
}

static void bulk_start(struct test *t)
{
	if (t->kind == BULK_TCP) {
		t->streams.n = 4;
		/* More than will ever be sent. */
		t->streams.bytes = 1ULL << 40;
		t->streams.priority = QDISC_CHILD(1);
		streams_start(&t->streams, TUNNEL_FAR);
	} else if (pthread_create(&t->bulk, NULL, send_bulk, t)) {
		ktap_bail("no thread");
	}
}

static void bulk_end(struct test *t)
{
	shared_set(t->stop, true);
	if (t->kind == BULK_TCP)
		streams_end(&t->streams);
	else
		pthread_join(t->bulk, NULL);
}

static void ping_send(struct test *t, u16 nr)
{
	struct sockaddr_in to = far_end();
	struct icmphdr echo = { .type = ICMP_ECHO };
	u32 sum = ICMP_ECHO << 8;

	echo.un.echo.id = htons(PING_ID);
	echo.un.echo.sequence = htons(nr);
	sum += PING_ID + nr;
	echo.checksum = htons((u16)~(sum + (sum >> 16)));
	to.sin_port = 0;
	if (sendto(t->ping_fd, &echo, sizeof(echo), MSG_DONTWAIT,
		   (struct sockaddr *)&to, sizeof(to)) < 0 &&
	    errno != ENOBUFS)
		ktap_bail("ping: %s", strerror(errno));
}

static bool ping_answered(struct test *t, u16 nr)
{
	struct pollfd pfd = { .fd = t->ping_fd, .events = POLLIN };
	struct icmphdr icmp;
	struct iphdr ip;
	char buf[256];

	poll(&pfd, 1, 1);
	while (recv(t->ping_fd, buf, sizeof(buf), MSG_DONTWAIT) >=
	       (ssize_t)(sizeof(ip) + sizeof(icmp))) {
		memcpy(&icmp, buf + sizeof(ip), sizeof(icmp));
		if (icmp.type == ICMP_ECHOREPLY &&
		    icmp.un.echo.id == htons(PING_ID) &&
		    icmp.un.echo.sequence == htons(nr))
			return true;
	}
	return false;
}

/* False when nothing moves any more. Late by far counts as lost. */
static bool ping(struct test *t, u16 nr)
{
	u64 after, frames, passed, waited, start = stall_now_ns();
	struct stall st;

	ping_send(t, nr);
	after = shared_get(t->frames);
	stall_start(&st, t->sc.stall_ms);
	do {
		if (ping_answered(t, nr)) {
			t->answered++;
			waited = shared_get(t->passed[nr]) - 1;
			waited = waited > after ? waited - after : 0;
			t->in_time += waited <= t->bound;
			t->worst = max(t->worst, waited);
			t->worst_us = max(t->worst_us,
					  (stall_now_ns() - start) / 1000);
			return true;
		}
		frames = shared_get(t->frames);
		passed = shared_get(t->passed[nr]);
		/* The answer to one that came by needs time, not frames. */
		if (!passed)
			stall_note(&st, frames);
		if (stall_over(&st))
			return false;
	} while (passed || frames - after < 4 * t->bound);
	return true;
}

static void report(struct test *t, bool flows)
{
	u64 drops = drops_count();

	tunnel_read(&t->tunnel);
	ktap_figure("answered", t->answered, "pings");
	ktap_figure("worst_frames_before", (long long)t->worst, "frames");
	ktap_figure("allowed_frames_before", t->bound, "frames");
	ktap_figure("worst_us", (long long)t->worst_us, "us");
	ktap_figure("bulk_frames", (long long)t->frames, "frames");
	ktap_figure("driver_drops", (long long)drops, "frames");
	ktap_figure("requeues", (long long)t->tunnel.requeues, NULL);
	ktap_ok(flows, "the bulk flows: %llu frames", t->frames);
	if (!t->judged) {
		ktap_skip("a figure only", "no ping is lost");
		ktap_skip("a figure only", "each overtakes the bulk");
		ktap_skip("a figure only", "the driver drops nothing");
		return;
	}
	ktap_ok(t->answered == PINGS, "no ping is lost: %u of %u answered",
		t->answered, PINGS);
	ktap_ok(t->in_time == PINGS,
		"each overtakes the bulk: %u of %u, at most %llu frames before it, %u allowed",
		t->in_time, PINGS, t->worst, t->bound);
	ktap_ok(!drops, "the driver drops nothing: %llu", drops);
}

int main(int argc, char **argv)
{
	static struct test t = { .frame_us = 200 };
	const struct scenario_option options[] = {
		{ "frame-us", &t.frame_us, "that the relay takes over a frame" },
	};
	bool flows;
	u16 i;

	t.kind = (enum bulk)choice_take(&argc, argv, "bulk", bulks, BULK_UDP);
	t.judged = !choice_take(&argc, argv, "on", kernels, 0);
	scenario_parse(&t.sc, argc, argv, options, ARRAY_SIZE(options));
	scenario_need_one_queue(&t.sc);
	if (!scenario_owns_queue(&t.sc) || !t.sc.len ||
	    strcmp(t.sc.qdisc, "fq_codel"))
		ktap_bail("ping_beside_bulk takes tun or tap, fq_codel, a length above 0");
	ktap_plan(4);
	setup(&t);
	relay_start(&t.tunnel.relay);
	bulk_start(&t);
	/* By then it fills the ring, and what it may of the qdisc. */
	flows = load_wait_for(&t.frames, 3 * t.bound, t.sc.stall_ms);
	for (i = 0; i < PINGS && flows; i++)
		flows = ping(&t, i);
	bulk_end(&t);
	relay_end(&t.tunnel.relay);
	report(&t, flows);
	close(t.ping_fd);
	close(t.bulk_fd);
	close(t.sink_fd);
	tunnel_close(&t.tunnel);
	drops_stop();
	return ktap_status();
}
