// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counting itself: packets of a socket that was closed are freed when RCU is
 * done with it, which may be in the middle of the next program. That one must
 * not take them for its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_ether.h>

#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "scenario.h"

#define PACKETS 10

/* A UDP socket with this many packets that nobody has read. */
static int unread(unsigned int n)
{
	struct sockaddr_in self = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(42000),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)))
		ktap_bail("UDP socket: %s", strerror(errno));
	while (n--)
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&self,
			   sizeof(self)) != 1)
			ktap_bail("UDP: %s", strerror(errno));
	return fd;
}

/* What is counted of them once they are gone for certain. */
static u64 counted(const struct scenario *sc)
{
	u64 freed;

	close(unread(PACKETS));
	bench_count_freed(sc);
	tuntap_flush_rcu();
	freed = drops_count();
	drops_stop();
	return freed;
}

/* And of frames that go with their ring. */
static u64 counted_own(const struct scenario *sc, unsigned int n)
{
	struct sender s;
	struct bench b;
	u64 freed;

	bench_count_freed(sc);
	bench_open(&b, sc, "frees0");
	bench_sender(&b, sc, &s, false);
	sender_send_many(&s, n);
	sender_close(&s);
	bench_close(&b);
	freed = drops_count();
	drops_stop();
	return freed;
}

int main(int argc, char **argv)
{
	struct scenario sc, own;
	u64 freed;
	int fd;

	scenario_parse(&sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&sc) || sc.len < 2)
		ktap_bail("late_frees takes tun or tap, a length above 1");
	own = sc;
	own.own_protocol = true;
	ktap_plan(5);
	netns_enter();
	netdev_up("lo", true);

	fd = unread(PACKETS);
	drops_start_of(ETH_P_IP);
	close(fd);
	tuntap_flush_rcu();
	freed = drops_count();
	drops_stop();
	ktap_ok(freed == PACKETS, "what a closed socket had is freed: %llu of %d",
		freed, PACKETS);
	freed = counted(&sc);
	ktap_ok(!freed, "of before, nothing is counted as IPv4: %llu", freed);
	freed = counted(&own);
	ktap_ok(!freed, "nor as a protocol of the program's own: %llu", freed);
	freed = counted_own(&sc, 2);
	ktap_ok(freed == 2, "the program's frames are, as IPv4: %llu of 2", freed);
	freed = counted_own(&own, 2);
	ktap_ok(freed == 2, "and as its own: %llu of 2", freed);
	return ktap_status();
}
