/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv6 multicast: numbered datagrams of several senders to many groups, in
 * turn, half of them link-local and half site-local.
 */
#ifndef KSERIES_MCAST_H
#define KSERIES_MCAST_H

#include <pthread.h>

#include "types.h"

#define MCAST_GROUPS 32
#define MCAST_SENDERS 8
#define MCAST_EACH 1000

/* What came out at one place. */
struct mcast_tally {
	u64 frames;		/* each number of each sender once */
	u64 repeated;
	u64 reports;		/* MLD reports, with any number of groups */
	u64 other;
	u8 seen[MCAST_SENDERS][MCAST_EACH];
};

void mcast_datagram(struct mcast_tally *t, const void *buf, size_t len);
/* The same for a whole frame. */
void mcast_frame(struct mcast_tally *t, bool ether, const void *buf, size_t len);

struct mcast_sender {
	unsigned int nr;
	int fd;
	int ifindex;
	unsigned int sent;
	u64 timeouts;		/* of sends that blocked */
};

/* @sndbuf: for SO_SNDBUF, 0 leaves the default. */
void mcast_sender_open(struct mcast_sender *s, unsigned int nr, const char *dev,
		       unsigned int sndbuf, bool loop);
/* False if it blocked for a while and the datagram was not sent. */
bool mcast_send(struct mcast_sender *s);

/* Members of all groups on one device, and a thread that receives for them. */
struct mcast_members {
	int fd[MCAST_GROUPS];
	struct mcast_tally tally;
	bool stop;
	pthread_t thread;
};

void mcast_join(struct mcast_members *m, const char *dev);
void mcast_receive_start(struct mcast_members *m);
void mcast_receive_end(struct mcast_members *m);

#endif
