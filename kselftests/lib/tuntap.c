// SPDX-License-Identifier: GPL-2.0-only
/* The character devices behind tun, tap, macvtap and ipvtap. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>

#include "ktap.h"
#include "netdev.h"
#include "stall.h"

#define NODE_WAIT_MS 2000

static bool opt_out;

static int node(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		ktap_bail("/dev/net/tun: %s", strerror(errno));
	return fd;
}

static unsigned int features(int fd)
{
	unsigned int bits;

	if (ioctl(fd, TUNGETFEATURES, &bits))
		ktap_bail("TUNGETFEATURES: %s", strerror(errno));
	return bits;
}

bool tuntap_may_opt_in(void)
{
	int fd = node();
	bool may = features(fd) & IFF_BACKPRESSURE;

	close(fd);
	return may;
}

void tuntap_opt_in(bool on)
{
	opt_out = !on;
}

unsigned int tuntap_flags(int fd)
{
	struct ifreq ifr = {};

	if (ioctl(fd, TUNGETIFF, &ifr))
		ktap_bail("TUNGETIFF: %s", strerror(errno));
	return (u16)ifr.ifr_flags;
}

static int set_device(int fd, const char *name, unsigned int flags)
{
	struct ifreq ifr = {};

	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
	if (!opt_out)
		flags |= features(fd) & IFF_BACKPRESSURE;
	ifr.ifr_flags = (short)(flags | IFF_NO_PI);
	return ioctl(fd, TUNSETIFF, &ifr) ? -errno : 0;
}

int tuntap_try_open(const char *name, unsigned int flags)
{
	int fd = node(), err = set_device(fd, name, flags);

	if (!err)
		return fd;
	close(fd);
	return err;
}

void tuntap_again(int fd, const char *name, unsigned int flags)
{
	int err = set_device(fd, name, flags);

	if (err)
		ktap_bail("TUNSETIFF %s once more: %s", name, strerror(-err));
}

int tuntap_open(const char *name, unsigned int flags)
{
	int fd = tuntap_try_open(name, flags);

	if (fd < 0)
		ktap_bail("TUNSETIFF %s: %s", name, strerror(-fd));
	return fd;
}

void tuntap_nonblock(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		ktap_bail("O_NONBLOCK: %s", strerror(errno));
}

void tuntap_flush_rcu(void)
{
	close(tuntap_open("flush0", IFF_TAP));
}

void tuntap_persist(int fd, bool on)
{
	if (ioctl(fd, TUNSETPERSIST, (unsigned long)on))
		ktap_bail("TUNSETPERSIST: %s", strerror(errno));
}

int tuntap_reopen(int *fd, const char *name, unsigned int flags,
		  unsigned int len)
{
	int err;

	tuntap_persist(*fd, true);
	close(*fd);
	err = netdev_try_txqueuelen(name, len);
	*fd = tuntap_open(name, flags);
	tuntap_persist(*fd, false);
	return err;
}

void tuntap_offload(int fd, unsigned int flags)
{
	if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags))
		ktap_bail("TUNSETOFFLOAD: %s", strerror(errno));
}

int tuntap_try_queue(int fd, bool attach)
{
	struct ifreq ifr = {};

	ifr.ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
	return ioctl(fd, TUNSETQUEUE, &ifr) ? -errno : 0;
}

void tuntap_queue(int fd, bool attach)
{
	int err = tuntap_try_queue(fd, attach);

	if (err)
		ktap_bail("TUNSETQUEUE %s: %s", attach ? "attach" : "detach",
			  strerror(-err));
}

void tuntap_carrier(int fd, bool on)
{
	int value = on;

	if (ioctl(fd, TUNSETCARRIER, &value))
		ktap_bail("TUNSETCARRIER: %s", strerror(errno));
}

void tuntap_ether(int fd, const char *name)
{
	netdev_up(name, false);
	if (ioctl(fd, TUNSETLINK, (unsigned long)ARPHRD_ETHER))
		ktap_bail("TUNSETLINK: %s", strerror(errno));
	netdev_up(name, true);
}

/* The node appears with the device, but udev may still be at its rights. */
static int node_open(const char *node)
{
	struct stall st;
	int fd;

	stall_start(&st, NODE_WAIT_MS);
	do {
		fd = open(node, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		stall_breathe();
	} while (!stall_over(&st));
	ktap_bail("%s: %s", node, strerror(errno));
}

int tapdev_open(const char *name, unsigned int flags)
{
	struct ifreq ifr = {};
	char node[32];
	int fd;

	snprintf(node, sizeof(node), "/dev/tap%d", netdev_index(name));
	fd = node_open(node);
	/* Indexes repeat from netns to netns: make sure that it is ours. */
	if (ioctl(fd, TUNGETIFF, &ifr))
		ktap_bail("%s: %s", node, strerror(errno));
	if (strcmp(ifr.ifr_name, name))
		ktap_bail("%s is %s, not %s", node, ifr.ifr_name, name);
	ifr.ifr_flags = (short)(flags | IFF_TAP | IFF_NO_PI);
	if (ioctl(fd, TUNSETIFF, &ifr))
		ktap_bail("TUNSETIFF %s: %s", name, strerror(errno));
	return fd;
}
