// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/if.h>

#include "ktap.h"
#include "netdev.h"
#include "probe.h"
#include "stall.h"

static u64 dropped(const struct bench *b)
{
	struct netdev_stats st;

	netdev_stats(b->dev, &st);
	return st.tx_dropped;
}

enum probe probe_queue(const struct bench *b, const struct scenario *sc)
{
	u64 before = dropped(b);
	enum send_result res;
	struct sender s;

	bench_sender(b, sc, &s, true);
	s.frame.cookie = ~b->cookie;
	res = sender_send(&s);
	sender_close(&s);
	if (res == SEND_OK)
		return PROBE_ROOM;
	if (res != SEND_NOBUFS)
		ktap_bail("probe of %s: %s", b->dev, strerror(s.error));
	/* What a stopped queue refuses is counted nowhere. */
	return dropped(b) == before ? PROBE_STOPPED : PROBE_DROPPED;
}

const char *probe_name(enum probe p)
{
	static const char * const names[] = {
		[PROBE_ROOM] = "running, with room",
		[PROBE_DROPPED] = "running, full",
		[PROBE_STOPPED] = "stopped",
	};

	return names[p];
}

bool probe_running(const char *dev, bool on, unsigned int stall_ms)
{
	const struct timespec tick = { .tv_nsec = 2000000 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};
	struct stall st;
	bool is = !on;

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", dev);
	stall_start(&st, stall_ms);
	while (is != on && !stall_over(&st)) {
		if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr))
			ktap_bail("flags of %s: %s", dev, strerror(errno));
		is = ifr.ifr_flags & IFF_RUNNING;
		if (is != on)
			nanosleep(&tick, NULL);
	}
	close(fd);
	return is == on;
}
