/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Large frames, to be cut into segments by whoever comes to it: by the device's
 * peer, which is told how in the header before each, or by the kernel.
 */
#ifndef KSERIES_GSO_H
#define KSERIES_GSO_H

#include <linux/if_packet.h>

#include "types.h"

#define GSO_SEGMENTS 4
#define GSO_SEGMENT 200	/* bytes of payload */
/* A header of each kind and all the payload. */
#define GSO_MAX 1024

enum gso_kind { GSO_UDP, GSO_TCP };

struct gso {
	bool ether;
	enum gso_kind kind;
	u32 cookie;
	u64 seq;
};

/* What was received, in segments. */
struct gso_tally {
	u64 next;
	u64 large;	/* frames that came whole */
	u64 segments;
	u64 missing;
	u64 repeated;
	u64 broken;	/* a wrong header, checksum or content */
};

/* A packet socket for such frames, with room for many; @to is how to reach @dev. */
int gso_socket(const char *dev, struct sockaddr_ll *to);
/* Write the header and the frame; returns the length of both. */
size_t gso_build(void *buf, const struct gso *g);
/* The same of what was received, with its header in front. */
void gso_enter(struct gso_tally *t, const struct gso *g, const void *buf,
	       size_t len);

#endif
