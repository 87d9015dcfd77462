/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel's log says of one matter, each time that it says it. */
#ifndef KSERIES_KMSG_H
#define KSERIES_KMSG_H

#include "types.h"

struct kmsg {
	int fd;
	const char *text;
	u64 count;
};

/*
 * Before netns_enter(): what the network says is limited to some lines in a
 * while, and that is switched off here until kmsg_close() or the end.
 */
void kmsg_open(struct kmsg *k, const char *text);
/* Lines with the text in them since kmsg_open(). */
u64 kmsg_count(struct kmsg *k);
void kmsg_close(struct kmsg *k);

#endif
