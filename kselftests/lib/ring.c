// SPDX-License-Identifier: GPL-2.0-only
#include "ring.h"

u64 ring_freed(unsigned int len, u64 k)
{
	u64 lap = k % len;

	/* Whole laps, then whole batches of the lap that has begun. */
	return k - lap % ring_batch(len);
}
