/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TX timestamps, which the driver takes once it has a frame for good, and the
 * memory of a sender, which it lets go of right after that.
 */
#ifndef KSERIES_STAMP_H
#define KSERIES_STAMP_H

#include "frame.h"
#include "types.h"

struct stamps {
	struct tally tally;	/* by the copy that comes with each timestamp */
	u64 blank;		/* without a time */
	u64 disorder;		/* an id that is not above the one before */
	u64 next_id;
};

/* From now on each frame that @s sends gets one, with an id. */
void stamp_on(struct sender *s);
/* As tally_start(); @tail: what is left behind a frame when it is stamped. */
void stamp_start(struct stamps *st, bool ether, u32 cookie, u16 tail);
/* Enter all that have come up to now. */
void stamp_collect(struct stamps *st, const struct sender *s);
bool stamp_well(const struct stamps *st);
/* Bytes of @s that the kernel still counts: its frames, wherever they wait. */
unsigned int stamp_memory(const struct sender *s);

#endif
