// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>

#include "ktap.h"
#include "netdev.h"
#include "nl.h"

static void address_do(struct nl_req *req, const char *what, const char *name)
{
	int err = nl_talk(req, NULL, NULL);

	if (err)
		ktap_bail("%s %s: %s", what, name, strerror(-err));
}

void netdev_addr6(const char *name, const u8 addr[16], unsigned int prefix)
{
	struct ifaddrmsg ifa = {
		.ifa_family = AF_INET6,
		.ifa_prefixlen = (u8)prefix,
		.ifa_flags = IFA_F_NODAD,
		.ifa_index = (u32)netdev_index(name),
	};
	struct nl_req req;

	nl_start(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa,
		 sizeof(ifa));
	nl_put(&req, IFA_LOCAL, addr, 16);
	nl_put(&req, IFA_ADDRESS, addr, 16);
	address_do(&req, "address of", name);
}

void netdev_neigh4(const char *name, u32 addr, const u8 mac[6])
{
	struct ndmsg ndm = {
		.ndm_family = AF_INET,
		.ndm_ifindex = netdev_index(name),
		.ndm_state = NUD_PERMANENT,
	};
	struct nl_req req;

	nl_start(&req, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &ndm,
		 sizeof(ndm));
	nl_put(&req, NDA_DST, &addr, sizeof(addr));
	nl_put(&req, NDA_LLADDR, mac, 6);
	address_do(&req, "neighbour on", name);
}
