// SPDX-License-Identifier: GPL-2.0-only
/*
 * What waits for a device that nobody reads, besides the one who sends to it.
 *
 * "self" is a program that sends to its own device and reads it only between
 * bursts. In the others it is the kernel that sends to a device whose reader is
 * stuck. For ICMP replies and TCP resets it has a socket on each CPU. What waits
 * in a qdisc counts against it, and answers on another device, be it in another
 * netns, depend on the same socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "load.h"
#include "mcast.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"

#define STUCK "stuck0"
#define FREE "free0"
#define STUCK_ADDR 0xc6120001U
#define FREE_ADDR 0xc6130001U
#define BURST 64
#define BURSTS 3
#define SMALL_SNDBUF 8192

static const char * const whats[] = { "self", "icmp", "reset", NULL };
static const char * const kernels[] = { "stock", "patched", NULL };

enum what { WHAT_SELF, WHAT_ICMP, WHAT_RESET };

struct test {
	struct scenario sc;
	enum what what;
	bool patched;
	unsigned int asks;	/* of the kernel, for an answer nobody reads */
	unsigned int netns;	/* 1: the other device is in another netns */
	int fd[2];		/* of the stuck device, and of the other */
};

static int device(struct test *t, const char *name, u32 addr)
{
	const u8 addr6[16] = { 0xfd, [1] = 0x6b, [15] = 1 };
	int fd = tuntap_open(name, IFF_TUN);

	netdev_txqueuelen(name, t->sc.len);
	qdisc_replace(name, t->sc.qdisc);
	netdev_addr4(name, htonl(addr), 30);
	netdev_up(name, true);
	netdev_addr6(name, addr6, 64);
	tuntap_nonblock(fd);
	return fd;
}

static u16 sum_of(const void *buf, size_t len, u32 sum)
{
	const u8 *at = buf;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (u32)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return htons((u16)~sum);
}

/* From the neighbour: an echo request, or a segment to a closed port. */
static void ask(struct test *t, int fd, u32 addr)
{
	struct {
		struct iphdr ip;
		union {
			struct icmphdr icmp;
			struct tcphdr tcp;
		};
	} p = {
		.ip = { .version = 4, .ihl = 5, .ttl = 64,
			.saddr = htonl(addr + 1), .daddr = htonl(addr) },
	};
	size_t body;

	if (t->what == WHAT_ICMP) {
		body = sizeof(p.icmp);
		p.ip.protocol = IPPROTO_ICMP;
		p.icmp.type = ICMP_ECHO;
		p.icmp.checksum = sum_of(&p.icmp, body, 0);
	} else {
		body = sizeof(p.tcp);
		p.ip.protocol = IPPROTO_TCP;
		p.tcp.source = htons(4000);
		p.tcp.dest = htons(9);
		p.tcp.doff = 5;
		p.tcp.syn = 1;
		p.tcp.check = sum_of(&p.tcp, body,
				     2 * (addr >> 16) + (addr & 0xffff) +
				     ((addr + 1) & 0xffff) + IPPROTO_TCP +
				     (u32)body);
	}
	p.ip.tot_len = htons((u16)(sizeof(p.ip) + body));
	p.ip.check = sum_of(&p.ip, sizeof(p.ip), 0);
	if (write(fd, &p, sizeof(p.ip) + body) < 0)
		ktap_bail("write: %s", strerror(errno));
}

/* Is this what the kernel was asked for on the device that is read? */
static bool is_answer(const struct test *t, const u8 *buf, ssize_t len)
{
	if (len < 28 || buf[0] >> 4 != 4)
		return false;
	return buf[9] == (t->what == WHAT_ICMP ? IPPROTO_ICMP : IPPROTO_TCP);
}

/* Asked again now and then, as people do. */
static bool answered(struct test *t)
{
	struct pollfd pfd = { .fd = t->fd[1], .events = POLLIN };
	struct stall st;
	u8 buf[2048];
	ssize_t len;

	stall_start(&st, t->sc.stall_ms);
	do {
		ask(t, t->fd[1], FREE_ADDR);
		poll(&pfd, 1, stall_left_ms(&st));
		while ((len = read(t->fd[1], buf, sizeof(buf))) > 0)
			if (is_answer(t, buf, len))
				return true;
	} while (!stall_over(&st));
	return false;
}

static void release(struct test *t)
{
	u8 buf[2048];
	unsigned int n = 0;

	while (read(t->fd[0], buf, sizeof(buf)) > 0)
		n++;
	ktap_figure("held_for_stuck", n, "frames");
}

static void test_kernel(struct test *t)
{
	unsigned int i;
	int cpu;
	bool first, now;

	/* On one CPU, which is where the answers are made. */
	cpus_allowed(&cpu, 1);
	cpu_pin(cpu);
	t->fd[0] = device(t, STUCK, STUCK_ADDR);
	if (t->netns)
		netns_enter_ipv6();
	t->fd[1] = device(t, FREE, FREE_ADDR);
	ktap_plan(3);
	first = answered(t);
	ktap_ok(first, "the other device gets an answer at first");
	for (i = 0; i < t->asks; i++)
		ask(t, t->fd[0], STUCK_ADDR);
	now = answered(t);
	ktap_figure("answered_beside_stuck", now, NULL);
	ktap_ok(now == !t->patched, "beside a stuck one it gets %s",
		now ? "its answer" : "none");
	release(t);
	ktap_ok(answered(t), "and when that one is read, it does");
}

static void read_all(struct test *t, struct mcast_tally *out)
{
	u8 buf[2048];
	ssize_t len;

	while ((len = read(t->fd[0], buf, sizeof(buf))) > 0)
		mcast_frame(out, false, buf, (size_t)len);
}

static void test_self(struct test *t)
{
	unsigned int n = BURSTS * (t->sc.len + BURST), due = n / BURSTS;
	static struct mcast_tally out;
	struct mcast_sender s;
	struct stall st;
	u64 drops;

	t->fd[0] = device(t, STUCK, STUCK_ADDR);
	mcast_sender_open(&s, 0, STUCK, SMALL_SNDBUF, false);
	ktap_plan(3);
	stall_start(&st, t->sc.stall_ms);
	while (s.sent < n && !stall_over(&st)) {
		if (mcast_send(&s) && s.sent < due)
			continue;
		/* After a burst, or when there is no room for more. */
		read_all(t, &out);
		due = s.sent >= due ? due + n / BURSTS : due;
		stall_note(&st, s.sent);
	}
	/* The kernel's own frames may hold up a moment what waits. */
	stall_start(&st, t->sc.stall_ms);
	for (;;) {
		read_all(t, &out);
		drops = drops_count();
		if (out.frames + drops >= s.sent || stall_over(&st))
			break;
		stall_note(&st, out.frames);
		stall_breathe();
	}
	ktap_figure("sent", s.sent, "datagrams");
	ktap_figure("read", (long long)out.frames, "frames");
	ktap_figure("driver_drops", (long long)drops, "frames");
	ktap_figure("send_timeouts", (long long)s.timeouts, NULL);
	ktap_ok(s.sent == n, "it gets to its end: %u of %u sent", s.sent, n);
	ktap_ok(!s.timeouts == !t->patched,
		"its sends block %llu times, until it reads", s.timeouts);
	ktap_ok(!drops == t->patched && out.frames + drops >= n,
		"what it does not read in time is %s: %llu dropped",
		t->patched ? "kept" : "lost", drops);
	close(s.fd);
}

int main(int argc, char **argv)
{
	struct test t = { .asks = 2000, .fd = { -1, -1 } };
	const struct scenario_option options[] = {
		{ "asks", &t.asks, "of the kernel for what nobody reads" },
		{ "other-netns", &t.netns, "1: the device beside is in one" },
	};

	t.what = (enum what)choice_take(&argc, argv, "what", whats, WHAT_SELF);
	t.patched = choice_take(&argc, argv, "on", kernels, 1);
	scenario_parse(&t.sc, argc, argv, options, ARRAY_SIZE(options));
	netns_enter_ipv6();
	drops_start("FULL_RING");
	if (t.what == WHAT_SELF)
		test_self(&t);
	else
		test_kernel(&t);
	close(t.fd[0]);
	if (t.fd[1] >= 0)
		close(t.fd[1]);
	drops_stop();
	return ktap_status();
}
