// SPDX-License-Identifier: GPL-2.0-only
#include "ring.h"

#define BATCH 16

unsigned int ring_batch(unsigned int len)
{
	return len >= 2 * BATCH ? BATCH : 1;
}

u64 ring_freed(unsigned int len, u64 k)
{
	u64 lap = k % len;

	return k - lap + lap - lap % ring_batch(len);
}
