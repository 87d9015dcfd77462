/* SPDX-License-Identifier: GPL-2.0-only */
/* Network devices of an own netns. Whatever fails in here bails out. */
#ifndef KSERIES_NETDEV_H
#define KSERIES_NETDEV_H

#include "types.h"

/* Of a later form of the series; no flag of 6.12 has this bit. */
#ifndef IFF_BACKPRESSURE
#define IFF_BACKPRESSURE 0x0080
#endif
/* Since 6.2, and not in every system's headers. */
#ifndef IFF_NO_CARRIER
#define IFF_NO_CARRIER 0x0040
#endif

struct netdev_stats {
	u64 rx_packets;
	u64 tx_packets;
	u64 tx_bytes;
	u64 rx_dropped;
	u64 tx_dropped;
	u64 errors;		/* of all kinds, drops are none */
};

/* A fresh netns without IPv6, so that only the test's own frames are in it. */
void netns_enter(void);
/* The same with IPv6, and without duplicate address detection. */
void netns_enter_ipv6(void);
/* A second netns, as a descriptor; the caller stays where it is. */
int netns_other(void);
/* The netns of this thread, as a descriptor; and a change to another one. */
int netns_self(void);
void netns_join(int netns_fd);

int netdev_index(const char *name);
bool netdev_exists(const char *name);
void netdev_up(const char *name, bool up);
void netdev_carrier(const char *name, bool on);
void netdev_txqueuelen(const char *name, unsigned int len);
/* The same, but a refusal is the caller's business: -errno. */
int netdev_try_txqueuelen(const char *name, unsigned int len);
void netdev_delete(const char *name);
void netdev_move(const char *name, int netns_fd);
void netdev_stats(const char *name, struct netdev_stats *st);
void netdev_mac(const char *name, u8 mac[6]);
void netdev_addr4(const char *name, u32 addr, unsigned int prefix);
void netdev_addr6(const char *name, const u8 addr[16], unsigned int prefix);
/* A neighbour that need not be asked for. */
void netdev_neigh4(const char *name, u32 addr, const u8 mac[6]);
void netdev_veth(const char *name, const char *peer);
/* A bridge without spanning tree, and a port of it. */
void netdev_bridge(const char *name);
void netdev_enslave(const char *port, const char *bridge);

/*
 * @flags: IFF_TUN or IFF_TAP, with IFF_MULTI_QUEUE for one more queue of the
 * same device; IFF_NO_PI is always added.
 */
int tuntap_open(const char *name, unsigned int flags);
/*
 * Does the kernel stop queues only where IFF_BACKPRESSURE is set? Then it is
 * added by all that open a device, unless tuntap_opt_in(false) came before.
 */
bool tuntap_may_opt_in(void);
void tuntap_opt_in(bool on);
/* The flags that the kernel has for the device, IFF_BACKPRESSURE among them. */
unsigned int tuntap_flags(int fd);
/* The same, but a refusal is the caller's business: -errno. */
int tuntap_try_open(const char *name, unsigned int flags);
/* A file whose device is gone gets another one. */
void tuntap_again(int fd, const char *name, unsigned int flags);
void tuntap_persist(int fd, bool on);
/*
 * Nobody has the device open for a moment, in which its length is set; 0, or the
 * -errno of that. @fd: its only file, which becomes another one.
 */
int tuntap_reopen(int *fd, const char *name, unsigned int flags,
		  unsigned int len);
/* @flags: TUN_F_*, what its owner takes of the frames as they are. */
void tuntap_offload(int fd, unsigned int flags);
/*
 * Sockets of before, whose packets RCU may still have to free, are gone then:
 * a device that goes waits for that (rcu_barrier() in netdev_run_todo()).
 */
void tuntap_flush_rcu(void);
/* Reads of this file no longer wait, whatever device's it is. */
void tuntap_nonblock(int fd);
/* Attach or detach one queue of a multi-queue device. */
void tuntap_queue(int fd, bool attach);
/* The same, but a refusal is the caller's business: -errno. */
int tuntap_try_queue(int fd, bool attach);
void tuntap_carrier(int fd, bool on);
/* A tun device that says it is an Ethernet one: pktgen takes no other. */
void tuntap_ether(int fd, const char *name);

/* @kind: "macvtap" or "ipvtap", on top of the device @lower. */
void tapdev_add(const char *kind, const char *name, const char *lower);
/* One more queue (file) of a macvtap or ipvtap device. */
int tapdev_open(const char *name, unsigned int flags);

#endif
