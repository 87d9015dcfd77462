// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>

#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "scenario.h"
#include "stall.h"

#define VETH_FAR "kst-far"
#define GOES_MS 1000

/* pfifo_fast refuses to start at length 0, so it must be there before. */
static void set_length(struct bench *b, const struct scenario *sc)
{
	if (!sc->len && scenario_owns_queue(sc))
		qdisc_replace(b->dev, sc->qdisc);
	netdev_txqueuelen(b->dev, sc->len);
	if (sc->len && scenario_owns_queue(sc) &&
	    strcmp(sc->qdisc, QDISC_DEFAULT))
		qdisc_replace(b->dev, sc->qdisc);
}

static void open_tuntap(struct bench *b, const struct scenario *sc)
{
	unsigned int flags = scenario_tuntap(sc) | sc->tun_flags;

	/* mq wants a device that could have more than one. */
	if (sc->queues > 1 || sc->multi_queue || !strcmp(sc->qdisc, "mq"))
		flags |= IFF_MULTI_QUEUE;
	b->via = b->dev;
	for (b->n_fds = 0; b->n_fds < sc->queues; b->n_fds++)
		b->fd[b->n_fds] = tuntap_open(b->dev, flags);
	set_length(b, sc);
}

/* These sit on one end of a veth pair; what the other end sends, they get. */
static void open_tapdev(struct bench *b, const struct scenario *sc)
{
	unsigned int flags = sc->queues > 1 ? IFF_MULTI_QUEUE : 0;

	b->via = VETH_FAR;
	if (!netdev_exists(BENCH_LOWER)) {
		netdev_veth(BENCH_LOWER, VETH_FAR);
		qdisc_replace(VETH_FAR, "noqueue");
		netdev_up(BENCH_LOWER, true);
		netdev_up(VETH_FAR, true);
	}
	tapdev_add(scenario_dev_name(sc->dev), b->dev, BENCH_LOWER);
	set_length(b, sc);
	for (b->n_fds = 0; b->n_fds < sc->queues; b->n_fds++)
		b->fd[b->n_fds] = tapdev_open(b->dev, flags);
	/* ipvlan tells its devices apart by address. */
	if (sc->dev == DEV_IPVTAP)
		netdev_addr4(b->dev, htonl(FRAME_DST4), 32);
}

void bench_open(struct bench *b, const struct scenario *sc, const char *name)
{
	memset(b, 0, sizeof(*b));
	b->dev = name;
	b->cookie = sc->seed ^ 0x6b736572U;
	if (scenario_owns_queue(sc))
		open_tuntap(b, sc);
	else
		open_tapdev(b, sc);
	netdev_up(b->dev, true);
}

void bench_count_freed(const struct scenario *sc)
{
	u16 protocol = scenario_protocol(sc);

	if (protocol == ETH_P_IP)
		tuntap_flush_rcu();
	drops_start_of(protocol);
}

void bench_sender(const struct bench *b, const struct scenario *sc,
		  struct sender *s, bool bypass)
{
	sender_open(s, b->via, scenario_ether(sc), bypass, b->cookie);
	s->to.sll_protocol = htons(scenario_protocol(sc));
	if (!scenario_owns_queue(sc))
		netdev_mac(b->dev, s->frame.dst_mac);
}

bool bench_stopped(const struct bench *b, const struct scenario *sc)
{
	u64 before = drops_count();
	enum send_result result;
	struct sender probe;

	sender_open(&probe, b->via, scenario_ether(sc), true, ~b->cookie);
	result = sender_send(&probe);
	sender_close(&probe);
	/* Refused, and not by the driver. */
	return result == SEND_NOBUFS && drops_count() == before;
}

/* io_uring lets go of a file some time after its own is closed. */
static bool goes(const char *dev)
{
	struct stall st;

	stall_start(&st, GOES_MS);
	while (netdev_exists(dev)) {
		if (stall_over(&st))
			return false;
		stall_breathe();
	}
	return true;
}

void bench_close(struct bench *b)
{
	bool own = b->via == b->dev;

	while (b->n_fds)
		close(b->fd[--b->n_fds]);
	if (own ? goes(b->dev) : !netdev_exists(b->dev))
		return;
	if (own)
		ktap_unplanned("%s goes with its last file", b->dev);
	netdev_delete(b->dev);
}
