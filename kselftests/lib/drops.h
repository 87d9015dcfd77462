/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the kernel freed packets that it did not deliver: skb:kfree_skb, in a
 * tracefs instance of our own, so that nobody else's tracing is touched.
 */
#ifndef KSERIES_DROPS_H
#define KSERIES_DROPS_H

#include "types.h"

/* Count one reason, e.g. "FULL_RING". One at a time, of these two. */
void drops_start(const char *reason);
/*
 * Count whatever happens to a packet of this protocol (ETH_P_*, as the kernel
 * has it in skb->protocol), in the whole machine: see scenario_protocol().
 */
void drops_start_of(u16 protocol);

/* Events since drops_start(). */
u64 drops_count(void);
/* Those of them whose location (or any of the line) has @text in it. */
u64 drops_count_at(const char *text);
/* Says of the first 50 where they were freed, and why: to explain a failure. */
void drops_tell(void);
/* Removes the instance; also done when the program ends in any way. */
void drops_stop(void);

#endif
