/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of the ptr_ring behind the device. Consumed slots are not free at
 * once: they are cleared a batch at a time, and at the end of each lap.
 */
#ifndef KSERIES_RING_H
#define KSERIES_RING_H

#include "types.h"

/* Two cache lines of pointers, with cache lines of 64 bytes. */
#define RING_BATCH 16

/* Slots that are cleared at a time. */
static inline unsigned int ring_batch(unsigned int len)
{
	return len < 2 * RING_BATCH ? 1 : RING_BATCH;
}

/* What fits in any case into a ring that has been read to its end. */
static inline unsigned int ring_room(unsigned int len)
{
	return len - (ring_batch(len) - 1);
}

/* Slots freed by the first @k consumes from a ring that starts at slot 0. */
u64 ring_freed(unsigned int len, u64 k);

#endif
