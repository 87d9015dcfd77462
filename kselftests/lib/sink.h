/* SPDX-License-Identifier: GPL-2.0-only */
/* The far end of a load: takes frames as fast as it can, and counts them. */
#ifndef KSERIES_SINK_H
#define KSERIES_SINK_H

#include "reader.h"
#include "types.h"

struct sink {
	int fd;
	struct vhost *vhost;
	/*
	 * Be rid of each frame at once, as XDP_DROP or a receiver that only
	 * counts would: nothing of it is copied or looked at that need not be.
	 */
	bool drop;
	u64 frames;
	/* When the first of them came, and the last one. */
	u64 first_ns;
	u64 last_ns;
};

/* @kind: READER_READ, which polls here, or READER_VHOST. */
void sink_open(struct sink *s, enum reader_kind kind, int fd, unsigned int size);
/* Forget what came before. */
void sink_restart(struct sink *s);
/* Take until there is nothing; false if there was nothing at all. */
bool sink_take(struct sink *s, int timeout_ms);
void sink_close(struct sink *s);

#endif
