/* SPDX-License-Identifier: GPL-2.0-only */
/* Two netns, a tun or tap device in each, and a relay between them. */
#ifndef KSERIES_TUNNEL_H
#define KSERIES_TUNNEL_H

#include "frame.h"
#include "relay.h"
#include "scenario.h"

#define TUNNEL_DEV "tunnel0"
#define TUNNEL_NEAR FRAME_SRC4
#define TUNNEL_FAR FRAME_DST4

struct tunnel {
	int netns[2];		/* near and far: 0 and 1 everywhere */
	struct relay relay;	/* set what is wanted of it, then start it */
	/* Of both devices, by tunnel_read(). */
	u64 tx_dropped;
	u64 qdisc_drops;
	u64 requeues;
	u64 held;
};

/* Leaves the caller in the far netns, to set up what it needs there. */
void tunnel_open(struct tunnel *tu, const struct scenario *sc);
/* Where it should be from then on. */
void tunnel_enter_near(const struct tunnel *tu);
void tunnel_read(struct tunnel *tu);
void tunnel_close(struct tunnel *tu);

#endif
