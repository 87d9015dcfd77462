// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>

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

/*
 * The kernel learns of a carrier at once, but puts the device's qdisc in place
 * of the one that loses everything from a work item, later. Asked for the link
 * by ethtool it does that work first (linkwatch_sync_dev()); IFF_RUNNING alone
 * is no sign, since a device that was never looked at counts as running.
 */
static void settle_link(int fd, const char *dev)
{
	struct ethtool_value link = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr = { .ifr_data = (void *)&link };

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", dev);
	if (ioctl(fd, SIOCETHTOOL, &ifr))
		ktap_bail("link of %s: %s", dev, strerror(errno));
}

void probe_must_run(const char *dev, bool on, unsigned int stall_ms)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};
	struct stall st;
	bool is = !on;

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", dev);
	stall_start(&st, stall_ms);
	while (is != on && !stall_over(&st)) {
		settle_link(fd, dev);
		if (ioctl(fd, SIOCGIFFLAGS, &ifr))
			ktap_bail("flags of %s: %s", dev, strerror(errno));
		is = ifr.ifr_flags & IFF_RUNNING;
		if (is != on)
			stall_nap(2 * NSEC_PER_MSEC);
	}
	close(fd);
	if (is != on)
		ktap_bail("%s is not %s", dev, on ? "up" : "down");
}

void probe_carrier(int fd, const char *dev, bool on, unsigned int stall_ms)
{
	tuntap_carrier(fd, on);
	probe_must_run(dev, on, stall_ms);
}
