// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <unistd.h>

#include "netdev.h"
#include "qdisc.h"
#include "tunnel.h"

static void end_open(struct tunnel *tu, const struct scenario *sc, unsigned int i)
{
	unsigned int flags = scenario_tuntap(sc);

	netns_join(tu->netns[i]);
	tu->relay.fd[i] = tuntap_open(TUNNEL_DEV, flags);
	netdev_txqueuelen(TUNNEL_DEV, sc->len);
	qdisc_replace(TUNNEL_DEV, sc->qdisc);
	netdev_addr4(TUNNEL_DEV, htonl(i ? TUNNEL_FAR : TUNNEL_NEAR), 30);
	netdev_up(TUNNEL_DEV, true);
}

void tunnel_open(struct tunnel *tu, const struct scenario *sc)
{
	netns_enter();
	tu->netns[0] = netns_self();
	tu->netns[1] = netns_other();
	end_open(tu, sc, 0);
	end_open(tu, sc, 1);
}

void tunnel_enter_near(const struct tunnel *tu)
{
	netns_join(tu->netns[0]);
}

void tunnel_read(struct tunnel *tu)
{
	struct netdev_stats dev;
	struct qdisc_stats qd;
	unsigned int i;

	tu->tx_dropped = 0;
	tu->qdisc_drops = 0;
	tu->requeues = 0;
	tu->held = 0;
	for (i = 2; i--;) {
		netns_join(tu->netns[i]);
		netdev_stats(TUNNEL_DEV, &dev);
		qdisc_read(TUNNEL_DEV, &qd);
		tu->tx_dropped += dev.tx_dropped;
		tu->qdisc_drops += qd.drops;
		tu->requeues += qd.requeues;
		tu->held += qd.qlen;
	}
}

void tunnel_close(struct tunnel *tu)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		close(tu->relay.fd[i]);
		close(tu->netns[i]);
	}
}
