/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of the ptr_ring behind the device. Consumed slots are not free at
 * once: they are cleared a batch at a time, and at the end of each lap.
 */
#ifndef KSERIES_RING_H
#define KSERIES_RING_H

#include "types.h"

/* Slots that are cleared at a time, with cache lines of 64 bytes. */
unsigned int ring_batch(unsigned int len);
/* Slots freed by the first @k consumes from a ring that starts at slot 0. */
u64 ring_freed(unsigned int len, u64 k);

#endif
