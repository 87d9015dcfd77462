// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/veth.h>

#include "ktap.h"
#include "netdev.h"
#include "nl.h"

static void proc_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* A kernel without IPv6 has nothing to turn off. */
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ktap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

void netns_enter_ipv6(void)
{
	if (unshare(CLONE_NEWNET))
		ktap_bail("unshare(CLONE_NEWNET): %s", strerror(errno));
	nl_forget();
	/* Addresses are to be good at once. */
	proc_write("/proc/sys/net/ipv6/conf/all/accept_dad", "0");
	proc_write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
}

static void netns_new(void)
{
	netns_enter_ipv6();
	proc_write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	proc_write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

void netns_enter(void)
{
	netns_new();
}

int netns_self(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		ktap_bail("/proc/thread-self/ns/net: %s", strerror(errno));
	return fd;
}

void netns_join(int netns_fd)
{
	if (setns(netns_fd, CLONE_NEWNET))
		ktap_bail("setns: %s", strerror(errno));
	nl_forget();
}

int netns_other(void)
{
	int home = netns_self();
	int other;

	netns_new();
	other = netns_self();
	netns_join(home);
	close(home);
	return other;
}

static int ifreq_ioctl(unsigned long cmd, const char *name, struct ifreq *ifr)
{
	snprintf(ifr->ifr_name, IFNAMSIZ, "%s", name);
	return ioctl(nl_socket(), cmd, ifr) ? -errno : 0;
}

int netdev_index(const char *name)
{
	struct ifreq ifr = {};
	int err = ifreq_ioctl(SIOCGIFINDEX, name, &ifr);

	if (err)
		ktap_bail("index of %s: %s", name, strerror(-err));
	return ifr.ifr_ifindex;
}

bool netdev_exists(const char *name)
{
	struct ifreq ifr = {};

	return !ifreq_ioctl(SIOCGIFINDEX, name, &ifr);
}

void netdev_mac(const char *name, u8 mac[6])
{
	struct ifreq ifr = {};
	int err = ifreq_ioctl(SIOCGIFHWADDR, name, &ifr);

	if (err)
		ktap_bail("address of %s: %s", name, strerror(-err));
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
}

static void link_start(struct nl_req *req, int type, int flags,
		       const char *name)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };

	if (name)
		ifi.ifi_index = netdev_index(name);
	nl_start(req, type, flags, &ifi, sizeof(ifi));
}

static void link_do(struct nl_req *req, const char *what, const char *name)
{
	int err = nl_talk(req, NULL, NULL);

	if (err)
		ktap_bail("%s %s: %s", what, name, strerror(-err));
}

void netdev_up(const char *name, bool up)
{
	struct nl_req req;
	struct ifinfomsg *ifi = NLMSG_DATA(&req.nlh);

	link_start(&req, RTM_NEWLINK, 0, name);
	ifi->ifi_flags = up ? IFF_UP : 0;
	ifi->ifi_change = IFF_UP;
	link_do(&req, up ? "up" : "down", name);
}

void netdev_carrier(const char *name, bool on)
{
	struct nl_req req;
	u8 value = on;

	link_start(&req, RTM_NEWLINK, 0, name);
	nl_put(&req, IFLA_CARRIER, &value, sizeof(value));
	link_do(&req, "carrier of", name);
}

int netdev_try_txqueuelen(const char *name, unsigned int len)
{
	struct nl_req req;

	link_start(&req, RTM_NEWLINK, 0, name);
	nl_put_u32(&req, IFLA_TXQLEN, len);
	return nl_talk(&req, NULL, NULL);
}

void netdev_txqueuelen(const char *name, unsigned int len)
{
	int err = netdev_try_txqueuelen(name, len);

	if (err)
		ktap_bail("txqueuelen of %s: %s", name, strerror(-err));
}

void netdev_delete(const char *name)
{
	struct nl_req req;

	link_start(&req, RTM_DELLINK, 0, name);
	link_do(&req, "delete", name);
}

void netdev_move(const char *name, int netns_fd)
{
	struct nl_req req;

	link_start(&req, RTM_NEWLINK, 0, name);
	nl_put_u32(&req, IFLA_NET_NS_FD, (u32)netns_fd);
	link_do(&req, "move", name);
}

void netdev_addr4(const char *name, u32 addr, unsigned int prefix)
{
	struct ifaddrmsg ifa = {
		.ifa_family = AF_INET,
		.ifa_prefixlen = (u8)prefix,
		.ifa_index = (u32)netdev_index(name),
	};
	struct nl_req req;

	nl_start(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa,
		 sizeof(ifa));
	nl_put(&req, IFA_LOCAL, &addr, sizeof(addr));
	nl_put(&req, IFA_ADDRESS, &addr, sizeof(addr));
	link_do(&req, "address of", name);
}

void netdev_veth(const char *name, const char *peer)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
	struct rtattr *info, *data, *end;
	struct nl_req req;

	link_start(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, NULL);
	nl_put_str(&req, IFLA_IFNAME, name);
	info = nl_nest(&req, IFLA_LINKINFO);
	nl_put_str(&req, IFLA_INFO_KIND, "veth");
	data = nl_nest(&req, IFLA_INFO_DATA);
	end = nl_put(&req, VETH_INFO_PEER, &ifi, sizeof(ifi));
	nl_put_str(&req, IFLA_IFNAME, peer);
	nl_nest_end(&req, end);
	nl_nest_end(&req, data);
	nl_nest_end(&req, info);
	link_do(&req, "add", name);
}

void netdev_bridge(const char *name)
{
	struct rtattr *info;
	struct nl_req req;

	link_start(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, NULL);
	nl_put_str(&req, IFLA_IFNAME, name);
	info = nl_nest(&req, IFLA_LINKINFO);
	nl_put_str(&req, IFLA_INFO_KIND, "bridge");
	nl_nest_end(&req, info);
	link_do(&req, "add", name);
}

void netdev_enslave(const char *port, const char *bridge)
{
	struct nl_req req;

	link_start(&req, RTM_NEWLINK, 0, port);
	nl_put_u32(&req, IFLA_MASTER, (u32)netdev_index(bridge));
	link_do(&req, "enslave", port);
}

void tapdev_add(const char *kind, const char *name, const char *lower)
{
	struct rtattr *info;
	struct nl_req req;

	link_start(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, NULL);
	nl_put_str(&req, IFLA_IFNAME, name);
	nl_put_u32(&req, IFLA_LINK, (u32)netdev_index(lower));
	info = nl_nest(&req, IFLA_LINKINFO);
	nl_put_str(&req, IFLA_INFO_KIND, kind);
	nl_nest_end(&req, info);
	link_do(&req, "add", name);
}

static void stats_answer(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtattr *rta;
	struct rtnl_link_stats64 all;
	struct netdev_stats *st = arg;

	rta = nl_find(nlh, sizeof(struct if_stats_msg), IFLA_STATS_LINK_64);
	if (!rta)
		return;
	/* Attributes are aligned to 4 bytes only. */
	memcpy(&all, RTA_DATA(rta), min(sizeof(all), RTA_PAYLOAD(rta)));
	st->rx_packets = all.rx_packets;
	st->tx_packets = all.tx_packets;
	st->tx_bytes = all.tx_bytes;
	st->rx_dropped = all.rx_dropped;
	st->tx_dropped = all.tx_dropped;
	st->errors = all.rx_errors + all.tx_errors + all.collisions +
		     all.rx_length_errors + all.rx_over_errors +
		     all.rx_crc_errors + all.rx_frame_errors +
		     all.rx_fifo_errors + all.rx_missed_errors +
		     all.tx_aborted_errors + all.tx_carrier_errors +
		     all.tx_fifo_errors + all.tx_heartbeat_errors +
		     all.tx_window_errors;
}

void netdev_stats(const char *name, struct netdev_stats *st)
{
	struct if_stats_msg ism = {
		.ifindex = (u32)netdev_index(name),
		.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64),
	};
	struct nl_req req;
	int err;

	memset(st, 0, sizeof(*st));
	nl_start(&req, RTM_GETSTATS, 0, &ism, sizeof(ism));
	err = nl_talk(&req, stats_answer, st);
	if (err)
		ktap_bail("stats of %s: %s", name, strerror(-err));
}
